"""Export to CTranslate2 (https://github.com/OpenNMT/CTranslate2), a library that translates without PyTorch and faster."""
