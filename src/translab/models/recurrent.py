"""Order by reading: recurrent layers, and the two ways in which they read a source.

    rnn     h_t = tanh(W x_t + U h_{t-1} + b)                             Elman 1990, "Finding Structure in Time"
    lstm    i, f, g, o = W x_t + U h_{t-1} + b in four parts              Hochreiter & Schmidhuber 1997, with the
            c_t = σ(f) c_{t-1} + σ(i) tanh(g),   h_t = σ(o) tanh(c_t)     forget gate of Gers, Schmidhuber & Cummins 2000

Padding never changes a result. The bias is read as the last column of W, under an input that is 1 for a type and 0 for
padding, where x is 0 as well: there all gates' sums are U h_{t-1} alone, and from a zero state the state stays exactly zero.
Whatever must end at a sentence's last type is therefore read with its padding in front; nothing has to be sorted or packed.

First values: W is Xavier uniform and U orthogonal, each gate by itself (Glorot & Bengio 2010; Saxe, McClelland & Ganguli 2014,
https://arxiv.org/abs/1312.6120: an orthogonal U neither shrinks nor stretches a gradient at first), biases are zero, but 1 for
the forget gate (Jozefowicz, Zaremba & Sutskever 2015).

A recurrent body knows order by reading, so nothing is added for positions, whatever `model.positions` says; `heads`,
`feedforward` and `normalisation` are the Transformer's own as well. Dropout acts on what enters a layer and on what leaves the
last one, never within the recurrence (Zaremba, Sutskever & Vinyals 2014, https://arxiv.org/abs/1409.2329). What attention
looks at, and what the projection to the vocabulary reads, is normalised (Ba, Kiros & Hinton 2016) as in the Transformer: a
deviation from the papers, without which h, small beside the Transformer's states, lets little of the source through at first.

Shapes: B batch · S source length · T length · D width · I width of a layer's input · G gates · P parts of a state (h; h and c)
· L decoder layers.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn

from translab import config
from translab.models import blocks
from translab.models.initialisation import initialise
from translab.models.kernels import PADDING, dropout

Kind = Literal["lstm", "rnn"]
GATES: dict[Kind, int] = {"lstm": 4, "rnn": 1}
PARTS: dict[Kind, int] = {"lstm": 2, "rnn": 1}


def embedding(values: config.Model, types: int) -> blocks.Embedding:
    """The Transformer's embedding, without positions."""
    return blocks.Embedding(values.model_copy(update={"positions": "none"}), types)


class Recurrence(nn.Module):
    """One recurrent layer that reads from left to right; `initialise` gives its values, its making draws nothing."""

    def __init__(self, kind: Kind, inputs: int, width: int) -> None:
        super().__init__()
        self.kind = kind
        self.input = nn.Parameter(torch.empty(GATES[kind] * width, inputs))  # rows of an LSTM: i, f, g, o
        self.recurrent = nn.Parameter(torch.empty(GATES[kind] * width, width))
        self.bias = nn.Parameter(torch.empty(GATES[kind] * width))

    def initialise(self, generator: torch.Generator) -> None:
        """Give the layer its first values."""
        gates = GATES[self.kind]
        with torch.no_grad():
            for gate in self.input.chunk(gates):
                nn.init.xavier_uniform_(gate, generator=generator)
            for gate in self.recurrent.chunk(gates):
                nn.init.orthogonal_(gate, generator=generator)
            self.bias.zero_()
            if self.kind == "lstm":
                self.bias.chunk(gates)[1].fill_(1)

    def before(self, rows: int) -> Tensor:
        """The state before anything is read, [P, rows, D]."""
        return self.bias.new_zeros(PARTS[self.kind], rows, self.recurrent.size(1))

    def forward(self, x: Tensor, real: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Read x [B, T, I] from a state [P, B, D] on.

        Args:
            x: the layer's input; what stands on padding is not looked at.
            real: 1 for a type, 0 for padding, [B, T, 1].
            state: h, of an LSTM h and c.

        Returns:
            h at each place [B, T, D], and the last state [P, B, D].
        """
        x = torch.cat((x * real, real.to(x.dtype)), dim=2)
        weights = [torch.cat((self.input, self.bias[:, None]), dim=1), self.recurrent]
        state = state.to(x.dtype)
        # No bias, one layer, no dropout, in one direction, batch first.
        if self.kind == "rnn":
            return torch.rnn_tanh(x, state, weights, False, 1, 0.0, self.training, False, True)
        outputs, *parts = torch.lstm(x, state.chunk(2), weights, False, 1, 0.0, self.training, False, True)
        return outputs, torch.cat(parts)


class LastStateEncoder(nn.Module):
    """Reads the source from its end to its beginning (Sutskever, Vinyals & Le 2014, https://arxiv.org/abs/1409.3215,
    section 3.3: what is written first has then been read last).

    Args:
        values: the model's section of params.yaml.
        kind: of the layers.
        types: size of the vocabulary.
        generator: of the first values; one number is drawn from it.
    """

    def __init__(self, values: config.Model, kind: Kind, types: int, generator: torch.Generator) -> None:
        super().__init__()
        self.dropout = values.dropout
        self.embedding = embedding(values, types)
        self.layers = nn.ModuleList(Recurrence(kind, values.width, values.width) for _ in range(values.encoder_layers))
        initialise(self, generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Ids [B, S] → the last layer's states [B, S, D], in the order of the source."""
        return self.read(tokens)[0]

    def read(self, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As `forward`, and the state [P, B, D] of each layer when all has been read."""
        real = (tokens != PADDING)[:, :, None].flip(1)  # padding in front
        x = self.embedding(tokens).flip(1)
        last = []
        for depth, layer in enumerate(cast(list[Recurrence], self.layers)):
            if depth:
                x = dropout(x, self.dropout, self.training)
            x, state = layer(x, real, layer.before(x.size(0)))
            last.append(state)
        return dropout(x, self.dropout, self.training).flip(1), last


class BidirectionalLayer(nn.Module):
    """Two recurrences of width D / 2, one from each end (Schuster & Paliwal 1997), side by side."""

    def __init__(self, kind: Kind, width: int) -> None:
        super().__init__()
        self.forwards = Recurrence(kind, width, width // 2)
        self.backwards = Recurrence(kind, width, width // 2)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """x [B, S, D] → [B, S, D]; `real` [B, S, 1] is 0 on padding, which is at the end."""
        start = self.forwards.before(x.size(0))
        right, _ = self.forwards(x, real, start)
        left, _ = self.backwards(x.flip(1), real.flip(1), start)
        return torch.cat((right, left.flip(1)), dim=2)


class BidirectionalEncoder(nn.Module):
    """Reads the source in both directions; its second half at the first type has read all of it.

    Args: as for `LastStateEncoder`.
    """

    def __init__(self, values: config.Model, kind: Kind, types: int, generator: torch.Generator) -> None:
        super().__init__()
        self.dropout = values.dropout
        self.embedding = embedding(values, types)
        self.layers = nn.ModuleList(BidirectionalLayer(kind, values.width) for _ in range(values.encoder_layers))
        self.norm = nn.LayerNorm(values.width)
        initialise(self, generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Ids [B, S] → the last layer's states [B, S, D]."""
        real = (tokens != PADDING)[:, :, None]
        x = self.embedding(tokens)
        for depth, layer in enumerate(self.layers):
            if depth:
                x = dropout(x, self.dropout, self.training)
            x = layer(x, real)
        return dropout(self.norm(x), self.dropout, self.training)
