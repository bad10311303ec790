"""The report: what the comparison found, laid out as JSON, Markdown, HTML and figures."""
