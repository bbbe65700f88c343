"""What the optimiser minimises: functions `objective(image, generator) -> scalar`, all alike.

On the way of the data they sit between an editor and the optimiser. `context_proportion` is the
method; `attention_entropy`, `flow` and `encoder` are what others optimise, to compare it with, and
`noise` is what nobody optimised. Every call draws prompt, noise and noise level anew from the
generator it is given.
"""

from decontext.objectives.attention_entropy import attention_entropy
from decontext.objectives.build import build_objective
from decontext.objectives.context_proportion import context_proportion
from decontext.objectives.draws import CHECK_SEED, Objective, Passes
from decontext.objectives.encoder import encoder
from decontext.objectives.flow import FLOW_SIGMA_RANGE, flow_matching
from decontext.objectives.noise import control_noise, control_steps
from decontext.objectives.sizes import working_sizes
from decontext.objectives.together import Together, build_each, together, worst_of

__all__ = [
    "CHECK_SEED",
    "FLOW_SIGMA_RANGE",
    "Objective",
    "Passes",
    "Together",
    "attention_entropy",
    "build_each",
    "build_objective",
    "context_proportion",
    "control_noise",
    "control_steps",
    "encoder",
    "flow_matching",
    "together",
    "working_sizes",
    "worst_of",
]
