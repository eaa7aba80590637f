"""The filters of gen.imaging under one name: `from gen.imaging import filters`, then `filters.gaussian(x, 2.0)`."""

from gen.imaging.filters import blur as _blur
from gen.imaging.filters import deconvolution as _deconvolution
from gen.imaging.filters import denoise as _denoise
from gen.imaging.filters import edge_aware as _edge_aware
from gen.imaging.filters import edges as _edges
from gen.imaging.filters import effects as _effects
from gen.imaging.filters import film as _film
from gen.imaging.filters import frequency as _frequency
from gen.imaging.filters import morphology as _morphology
from gen.imaging.filters import paint as _paint
from gen.imaging.filters import resize as _resize
from gen.imaging.filters import sharpen as _sharpen
from gen.imaging.filters import smooth as _smooth
from gen.imaging.filters.blur import *  # noqa: F403
from gen.imaging.filters.deconvolution import *  # noqa: F403
from gen.imaging.filters.denoise import *  # noqa: F403
from gen.imaging.filters.edge_aware import *  # noqa: F403
from gen.imaging.filters.edges import *  # noqa: F403
from gen.imaging.filters.effects import *  # noqa: F403
from gen.imaging.filters.film import *  # noqa: F403
from gen.imaging.filters.frequency import *  # noqa: F403
from gen.imaging.filters.morphology import *  # noqa: F403
from gen.imaging.filters.paint import *  # noqa: F403
from gen.imaging.filters.resize import *  # noqa: F403
from gen.imaging.filters.sharpen import *  # noqa: F403
from gen.imaging.filters.smooth import *  # noqa: F403

__all__ = [
    *_smooth.__all__,
    *_edge_aware.__all__,
    *_denoise.__all__,
    *_sharpen.__all__,
    *_blur.__all__,
    *_deconvolution.__all__,
    *_edges.__all__,
    *_morphology.__all__,
    *_resize.__all__,
    *_frequency.__all__,
    *_effects.__all__,
    *_film.__all__,
    *_paint.__all__,
]
