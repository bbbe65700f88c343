"""Everything that can be chosen about protecting a photo, with unit, range, default and source.

Settings are written into the report of a run; read back, they repeat it. Nothing here imports
torch.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from decontext.errors import InputError
from decontext.notation import (
    LEVELS,
    ORDINARY_SIZE,
    check_epsilon,
    parse_working_size,
)
from decontext.ranges import check_choice, check_count, check_number, check_sigma_range

Schedule = Literal["constant", "linear", "cosine"]
ObjectiveName = Literal[
    "context-proportion",
    "attention-entropy",
    "flow",
    "encoder",
    "encoder-grey",
    "random-sign",
    "uniform",
]
CONTROLS = ("random-sign", "uniform")
"""Objectives that nothing is optimised for: noise of the same budget, to compare with."""

Method = Literal["sign", "least-visible", "texture"]
Strength = Literal["gentle", "standard", "strong"]
RobustLevel = Literal["off", "jpeg", "web", "strong"]

FALLS: dict[Strength, float] = {"gentle": 0.55, "standard": 0.6, "strong": 0.7}
"""By what part the context proportion is to fall, by the name of a strength."""

USUAL_STEPS = 42
"""Steps that the least visible change usually takes, of the `steps` that it may: with the passes by
which it is judged they come to less than 60."""

FLAT_BUDGET, CAP = 8, 16
"""Levels of 255: the budget that sign steps use up, and the cap of the least visible change."""

LARGE_PHOTO = 16 * 1024**2
"""Pixels above which memory counts more than the last bit, see `pgd` and `publishing.chains`."""
MAXIMUM_SEED = 2**63 - 1


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "method": "sign",
        "epsilon": 0.1 / 2,
        "steps": 800,
        "step_size": 0.005 / 2,
        "momentum": 0.0,
        "schedule": "constant",
        "random_start": 0.0,
        "sigma_range": (0.98, 1.0),
        "blocks": "paper",
        "samples_per_step": 1,
        "working_size": "512",
        "robust": "off",
    },
    "balanced": {"steps": 100, "blocks": "paper", "working_size": ORDINARY_SIZE},
    "fast": {"steps": 50, "blocks": "double:0", "working_size": "512"},
}
"""Settings by name. "paper" is arXiv 2512.16625, section 5, in colours of [0, 1]: its code for
FLUX counts from -1 to 1. "fast" looks at the first block only, as arXiv 2607.27292 does."""


@dataclass(frozen=True, kw_only=True)
class ProtectSettings:
    """How a photo is protected. Colour values and changes of them are fractions of the full range.

    Attributes:
        method: "sign": sign steps within a budget that every pixel uses up, as in the paper;
            "least-visible": the least visible change that lowers the attention by the wanted part,
            see `least_visible`, for the objective context-proportion only; "texture": sign steps
            within less of the budget where the photo is smooth, as VETO's, to compare with.
        strength: of the least visible change: "gentle", "standard" or "strong", see `FALLS`.
        fall: by what part the context proportion is to fall, (0, 1), in place of a strength.
        epsilon: largest change of a colour value, 1/255 to 1. None: 8/255 for sign steps; the
            paper's budget of 0.1 is 12.75/255 in its FLUX code and 25.5/255 in its Step1X code.
            For the least visible change it is a cap that few pixels reach, and 16/255.
        steps: number of optimisation steps, at least 1. The paper takes 800; with momentum and a
            falling step size 100 do most of the work.
        step_size: change of a colour value in the first step, up to 1. None: a twentieth of
            epsilon, as in the paper (0.005 of 0.1), or as much more as a short run needs to
            cross the budget: see `first_step_size`.
        momentum: weight of the earlier gradients, [0, 1). 0 is the paper's plain sign steps.
        schedule: how the step size falls: not at all, or to a tenth along a line or a cosine.
        random_start: largest change before the first step, as a fraction of epsilon, [0, 1].
        sigma_range: noise levels that are drawn from, within [0, 1], 1 is pure noise. Paper:
            timesteps 980 to 1000 of 1000.
        blocks: attention blocks that count: "all", "paper", "double:0-18", "single:0-25", several
            with commas. Paper: single 0-25 of FLUX's 38, which is "paper". "auto" measures on the
            photo which first blocks bring the most for their cost, see `objectives.sensitivity`.
        samples_per_step: draws of prompt, noise and sigma that a step's gradient is the mean of.
        objective: what is optimised, see `objectives`: "context-proportion" is the method;
            "attention-entropy", "flow", "encoder" and "encoder-grey" are other people's, with the
            same optimiser; "random-sign" and "uniform" are noise of the same budget.
        working_size: at which size the editor sees the photo: "ordinary", as in anyone's edit, or
            pixels a side (512: about 512 x 512, the photo's aspect ratio), several with commas:
            then each step draws for all of them. Paper: 512.
        refresh_text: for editors whose text encoder sees the photo: steps after which it is shown
            the photo as it has become; 0 is never. The original does it in every step.
        count_vlm_tokens: for the same editors: the text tokens that stand for the photo count as
            context, and the gradient runs through the text encoder. Not in the paper.
        robust: what is done to the photo, at random in each step, before the editor sees it, so
            that the protection outlasts it: "off" nothing, "jpeg" JPEG 50 to 95, "web" what sites
            do (JPEG, reducing, cutting a little off), "strong" more of it, and mirroring, blur
            and noise. The exact odds are those of `publishing.chains.draw_chain`. Not in the paper.
        seed: of everything random, 0 to 2^63 - 1. The same seed gives the same photo on the same
            machine with the same versions.
        verify_prompts: instructions, not optimised on, that the saved file is measured with.
        verify_noises: noises, not optimised on, for each of these instructions.
        step_limit: where the result is not strong after `steps`, it is improved further until so
            many steps were done, at least `steps`. None: four times `steps`.

    Raises:
        InputError: a value is out of its range.
    Source: arXiv 2512.16625, section 5 and its code; the rest as said.
    """

    method: Method = "least-visible"
    strength: Strength = "standard"
    fall: float | None = None
    epsilon: float | None = None
    steps: int = 100
    step_size: float | None = None
    momentum: float = 0.9
    schedule: Schedule = "cosine"
    random_start: float = 0.5
    sigma_range: tuple[float, float] = (0.98, 1.0)
    blocks: str = "all"
    samples_per_step: int = 1
    working_size: str = ORDINARY_SIZE
    objective: ObjectiveName = "context-proportion"
    refresh_text: int = 0
    count_vlm_tokens: bool = False
    robust: RobustLevel = "web"
    seed: int = 0
    verify_prompts: int = 12
    verify_noises: int = 2
    step_limit: int | None = None

    def __post_init__(self) -> None:
        if self.epsilon is not None:
            check_epsilon(self.epsilon)
        if self.fall is not None:
            check_number("fall", self.fall, 0, 1, low_included=False, high_included=False)
        if self.step_size is not None:
            check_number("step_size", self.step_size, 0, 1, low_included=False)
        check_number("momentum", self.momentum, 0, 1, high_included=False)
        check_number("random_start", self.random_start, 0, 1)
        check_sigma_range(self.sigma_range)
        check_choice("schedule", self.schedule, get_args(Schedule))
        check_choice("method", self.method, get_args(Method))
        check_choice("strength", self.strength, get_args(Strength))
        check_choice("objective", self.objective, get_args(ObjectiveName))
        check_choice("robust", self.robust, get_args(RobustLevel))
        for name in ("steps", "samples_per_step", "verify_prompts", "verify_noises"):
            check_count(name, getattr(self, name), 1)
        if self.step_limit is not None:
            check_count("step_limit", self.step_limit, self.steps)
        check_count("seed", self.seed, 0, MAXIMUM_SEED)
        check_count("refresh_text", self.refresh_text, 0)
        if not isinstance(self.count_vlm_tokens, bool):
            raise InputError(
                f"count_vlm_tokens is {self.count_vlm_tokens!r}; it must be true or false."
            )
        if not isinstance(self.blocks, str) or not self.blocks.strip():
            raise InputError(
                f"blocks is {self.blocks!r}; it must name attention blocks.", "Try 'all'."
            )
        parse_working_size(self.working_size)

    @property
    def budget(self) -> float:
        """`epsilon`, or where that is None what the method takes: a fraction of the full range."""
        if self.epsilon is not None:
            return self.epsilon
        return (CAP if self.least_visible else FLAT_BUDGET) / LEVELS

    @property
    def least_visible(self) -> bool:
        """Whether the least visible change is looked for; other objectives know sign steps only."""
        return self.method == "least-visible" and self.objective == "context-proportion"

    @property
    def wanted_fall(self) -> float:
        """`fall`, or that of the strength."""
        return FALLS[self.strength] if self.fall is None else self.fall

    @property
    def first_step_size(self) -> float:
        """`step_size`, or where that is None the budget times 15 / steps, within 0.05 to 0.5.

        With 100 steps that is 0.15 epsilon: along the default schedule a colour value can then
        cross the whole budget some four times. From 300 steps on it is the paper's ratio.
        """
        if self.step_size is not None:
            return self.step_size
        return self.budget * min(max(15 / self.steps, 0.05), 0.5)

    @property
    def planned_steps(self) -> int:
        """Steps that a run is expected to take before it is measured: of the least visible change
        more only where the wanted fall is not reached."""
        return min(self.steps, USUAL_STEPS) if self.least_visible else self.steps

    @property
    def last_step(self) -> int:
        """`step_limit`, or where that is None four times `steps`; of a control its only one."""
        if self.objective in CONTROLS:
            return 1
        return 4 * self.steps if self.step_limit is None else self.step_limit

    @property
    def working_sides(self) -> tuple[int | None, ...]:
        """Sides of the working sizes in pixels; None is the editor's ordinary size."""
        return parse_working_size(self.working_size)

    @classmethod
    def from_preset(cls, name: str, **overrides: Any) -> "ProtectSettings":
        """The settings of that name in `PRESETS`, changed by what is given.

        Raises:
            InputError: there is no such preset, or a value is out of its range.
        """
        check_choice("preset", name, tuple(PRESETS))
        return cls(**PRESETS[name] | overrides)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON holds them; `from_dict` gives back equal ones, to the last bit."""
        values = asdict(self) | {"sigma_range": list(self.sigma_range)}
        if self.step_limit is None:  # Results are found by these values: older ones stay found.
            del values["step_limit"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ProtectSettings":
        """Settings from what `to_dict` returned; what is missing has its default.

        Values without a method are of a time when there was only "sign".

        Raises:
            InputError: a setting of an unknown name, or a value out of its range.
        """
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise InputError(f"no setting is named {name!r}; there are {', '.join(known)}.")
        values = {"method": "sign"} | dict(values)  # the only one that early reports knew
        if values.get("objective") == "flow-matching":  # as early reports call it
            values["objective"] = "flow"
        if "objective" in values:  # reports from before there was a choice of methods
            values.setdefault("method", "sign")
        if isinstance(values.get("sigma_range"), list):
            values["sigma_range"] = tuple(values["sigma_range"])
        return cls(**values)
