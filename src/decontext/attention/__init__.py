"""What is measured inside an editor: where its attention falls, block by block.

`probe` is the heart: it sees the attention calls of one pass and measures the context proportion.
"""

from decontext.attention.blocks import PAPER_SHARE, resolve_blocks
from decontext.attention.layout import CausalLayout, SequenceLayout
from decontext.attention.probe import Quantity, checkpointed, measure, measuring

__all__ = [
    "PAPER_SHARE",
    "CausalLayout",
    "Quantity",
    "SequenceLayout",
    "checkpointed",
    "measure",
    "measuring",
    "resolve_blocks",
]
