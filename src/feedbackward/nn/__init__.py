"""Modules with weights and a state for streams: recurrent layers and learnable filters.

- :class:`RNN`, :class:`GRU`, :class:`LSTM`: in the place of torch.nn's, with structured recurrent matrices.

- :class:`BandRNN`, :class:`BandRNNCell`: recurrent matrices that are a band.
- :class:`FilterBank`: N filters over one signal, two weights each, a center frequency and a bandwidth.
- :class:`SOSFilter`: a cascade of second-order sections, always stable.
- :class:`LFilter`: a direct form of any order, always stable.
"""

from .band import BandRNN, BandRNNCell
from .filter_bank import FilterBank
from .lfilter import LFilter
from .recurrent import GRU, LSTM, RNN
from .sos_filter import SOSFilter

__all__ = ["GRU", "LSTM", "RNN", "BandRNN", "BandRNNCell", "FilterBank", "LFilter", "SOSFilter"]
