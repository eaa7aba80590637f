"""Color: spaces, grading, white balance, vision, look-up tables; histograms, transfer, palettes, tone mapping."""

from gen.imaging.color import balance as _balance
from gen.imaging.color import cube as _cube
from gen.imaging.color import histogram as _histogram
from gen.imaging.color import hsv as _encoded
from gen.imaging.color import lut as _lut
from gen.imaging.color import palette as _palette
from gen.imaging.color import spaces as _spaces
from gen.imaging.color import tone as _tone
from gen.imaging.color import tonemap as _tonemap
from gen.imaging.color import transfer as _transfer
from gen.imaging.color import vision as _vision
from gen.imaging.color.balance import *  # noqa: F403
from gen.imaging.color.cube import *  # noqa: F403
from gen.imaging.color.histogram import *  # noqa: F403
from gen.imaging.color.hsv import *  # noqa: F403
from gen.imaging.color.lut import *  # noqa: F403
from gen.imaging.color.palette import *  # noqa: F403
from gen.imaging.color.spaces import *  # noqa: F403
from gen.imaging.color.tone import *  # noqa: F403
from gen.imaging.color.tonemap import *  # noqa: F403
from gen.imaging.color.transfer import *  # noqa: F403
from gen.imaging.color.vision import *  # noqa: F403

__all__ = [
    *_spaces.__all__,
    *_encoded.__all__,
    *_tone.__all__,
    *_balance.__all__,
    *_vision.__all__,
    *_lut.__all__,
    *_cube.__all__,
    *_histogram.__all__,
    *_transfer.__all__,
    *_palette.__all__,
    *_tonemap.__all__,
]
