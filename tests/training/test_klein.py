"""What `klein-mini` is trained as: latents, text and positions as the pipeline has them."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
import torch
from diffusers_oracle import Calls, same_inputs

from decontext.editors.flux2.wiring import Flux2Wiring
from training.builds import (
    KLEIN,
    Clock,
    add_build,
    add_seed,
    autoencoder,
    from_patches,
    normalised,
    patches,
    seed_of,
    write_statistics,
)
from training.klein import TEXT_LENGTH, KleinEditor
from training.transformer import new_editor, pack

TEXTS = ["make him smile", "a red hat, please"]


@pytest.fixture(scope="module")
def vae() -> Any:
    return autoencoder(KLEIN).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def editor() -> KleinEditor:
    model = new_editor(KLEIN).eval().requires_grad_(False)
    assert isinstance(model, KleinEditor)
    with torch.no_grad():  # zero at first, so that every pass would give zeros
        torch.nn.init.normal_(model.transformer.proj_out.weight, std=0.1)
    return model


def test_latents_are_normalised_as_the_loaded_editor_normalises_them(vae: Any) -> None:
    pictures = torch.rand(3, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    latents = vae.encode(2 * pictures - 1).latent_dist.mode()
    write_statistics(vae, latents)
    found = normalised(vae, latents)
    assert found.shape == latents.shape
    cut = patches(found)
    torch.testing.assert_close(cut.mean((0, 2, 3)), torch.zeros(80), atol=1e-5, rtol=0)
    torch.testing.assert_close(cut.std((0, 2, 3)), torch.ones(80), atol=0.02, rtol=0)
    wiring = Flux2Wiring(vae)
    for number in range(3):
        theirs = wiring.encode(pictures[number : number + 1])
        torch.testing.assert_close(cut[number : number + 1], theirs, atol=1e-5, rtol=0)
        torch.testing.assert_close(pack(found)[number : number + 1], wiring.pack(theirs))


def test_patches_come_back() -> None:
    latents = torch.rand(2, 5, 8, 6)
    assert torch.equal(from_patches(patches(latents)), latents)


def test_a_training_pass_is_a_pass_of_the_pipeline(vae: Any, editor: KleinEditor) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline

    pipeline = Flux2KleinPipeline(
        **editor.pipeline_parts(),
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=2.0),
        is_distilled=True,
    )
    noisy, context = torch.randn(2, 1, 20, 8, 12, generator=torch.Generator().manual_seed(1))
    with Calls().watching(editor.transformer) as own:
        velocity = editor(noisy, context, TEXTS[:1], torch.tensor([0.9]))
    embeddings, text_ids = pipeline.encode_prompt(TEXTS[0], max_sequence_length=TEXT_LENGTH)
    wiring = Flux2Wiring(vae)
    from decontext.editors.joint.engine import Text

    with Calls().watching(editor.transformer) as theirs:
        output = wiring.call(
            editor.transformer, patches(noisy), [patches(context)], Text(embeddings), 0.9
        )
    same_inputs(own[0][0], theirs[0][0])
    torch.testing.assert_close(velocity, output[:, : velocity.shape[1]])
    assert torch.equal(text_ids[0].float(), own[0][0]["txt_ids"].float())


def test_instructions_of_a_batch_do_not_see_each_other(editor: KleinEditor) -> None:
    together = editor.text(TEXTS)
    assert together.shape == (2, TEXT_LENGTH, 144)
    torch.testing.assert_close(together[1:], editor.text(TEXTS[1:]), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


def test_first_weights_and_positions_differ_from_those_of_the_other_editor() -> None:
    assert autoencoder(KLEIN).config.latent_channels == 20
    first, again = (autoencoder(KLEIN).encoder.conv_in.weight for _ in range(2))
    assert torch.equal(first, again)


def test_another_seed_gives_another_editor_of_the_same_build() -> None:
    own, other = (autoencoder(KLEIN, seed).encoder.conv_in.weight for seed in (None, 77))
    assert own.shape == other.shape and not torch.equal(own, other)
    first, second = (new_editor(KLEIN, seed).transformer.state_dict() for seed in (None, 77))
    changed = [name for name in first if not torch.equal(first[name], second[name])]
    assert "single_transformer_blocks.0.attn.to_out.weight" in changed


@pytest.mark.parametrize(("given", "found"), [((), 41), (("--seed", "77"), 77)])
def test_the_seed_is_the_builds_or_what_was_asked_for(given: tuple[str, ...], found: int) -> None:
    parser = argparse.ArgumentParser()
    add_build(parser)
    add_seed(parser)
    args = parser.parse_args(["--build", KLEIN, *given])
    assert seed_of(args.build, args.seed) == found


def test_a_clock_counts_steps_or_time_whichever_is_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 150.0)
    assert Clock(10, 100.0, None).progress(5) == 0.5
    assert Clock(10, 100.0, 200.0).progress(2) == 0.5
    assert Clock(10, 100.0, 200.0).progress(8) == 0.8
