"""Modules with learnable filters and a state for streams.

- :class:`FilterBank`: N filters over one signal, two weights each, a center frequency and a bandwidth.
- :class:`SOSFilter`: a cascade of second-order sections, always stable.
- :class:`LFilter`: a direct form of any order, always stable.
"""

from .filter_bank import FilterBank
from .lfilter import LFilter
from .sos_filter import SOSFilter

__all__ = ["FilterBank", "LFilter", "SOSFilter"]
