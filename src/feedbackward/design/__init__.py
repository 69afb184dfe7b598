"""Coefficients for filters: design, spacing, stability, response.

Everything here is ordinary PyTorch, differentiable and batched over leading shapes:

- the audio EQ cookbook, rows that go straight into ``feedbackward.sosfilt``: :func:`lowpass`, :func:`highpass`,
  :func:`bandpass`, :func:`notch`, :func:`allpass`, :func:`peaking`, :func:`lowshelf`, :func:`highshelf`;
- what q means: :func:`q_from_bandwidth`, :func:`bandwidth_from_q`, :func:`q_from_octaves`, :func:`q_from_slope`;
- where bands lie: :func:`space`, :func:`edges`, :func:`bandwidths`, :func:`hz_to_scale`, :func:`scale_to_hz`,
  :func:`erb_bandwidth`;
- filters that cannot be unstable: :func:`stable_section`, :func:`triangle`, :func:`stable_polynomial`, their inverses,
  and the reflection coefficients below them;
- what a filter does: :func:`freqz`, :func:`sosfreqz`, :func:`group_delay`, :func:`pole_radius`, :func:`plot_response`;
- between forms: :func:`sos2tf`, :func:`tf2sos`.
"""

from .convert import sos2tf, tf2sos
from .cookbook import (
    BUTTERWORTH,
    GAIN_KINDS,
    KINDS,
    allpass,
    bandpass,
    highpass,
    highshelf,
    lowpass,
    lowshelf,
    notch,
    peaking,
)
from .plot import plot_response
from .quality import bandwidth_from_q, q_from_bandwidth, q_from_octaves, q_from_slope
from .response import freqz, group_delay, pole_radius, sosfreqz
from .section import stable_section, stable_section_inverse
from .spacing import SCALES, bandwidths, edges, erb_bandwidth, hz_to_scale, scale_to_hz, space
from .stable import (
    polynomial_to_reflection,
    reflection_to_polynomial,
    stable_polynomial,
    stable_polynomial_inverse,
    triangle,
    triangle_inverse,
)

__all__ = [
    "BUTTERWORTH",
    "GAIN_KINDS",
    "KINDS",
    "SCALES",
    "allpass",
    "bandpass",
    "bandwidth_from_q",
    "bandwidths",
    "edges",
    "erb_bandwidth",
    "freqz",
    "group_delay",
    "highpass",
    "highshelf",
    "hz_to_scale",
    "lowpass",
    "lowshelf",
    "notch",
    "peaking",
    "plot_response",
    "pole_radius",
    "polynomial_to_reflection",
    "q_from_bandwidth",
    "q_from_octaves",
    "q_from_slope",
    "reflection_to_polynomial",
    "scale_to_hz",
    "sos2tf",
    "sosfreqz",
    "space",
    "stable_polynomial",
    "stable_polynomial_inverse",
    "stable_section",
    "stable_section_inverse",
    "tf2sos",
    "triangle",
    "triangle_inverse",
]
