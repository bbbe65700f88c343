"""The error tree: texts and exit codes that the command line relies on."""

import pickle

import pytest

from decontext import errors


def test_text_is_message_followed_by_hint():
    error = errors.InputError("epsilon is 300; it must be in (0, 255].", "Did you mean 8/255?")
    assert str(error) == "epsilon is 300; it must be in (0, 255]. Did you mean 8/255?"
    assert error.message.startswith("epsilon") and error.hint.startswith("Did")


def test_text_without_hint_is_the_message():
    assert str(errors.EditorError("the folder has no vae")) == "the folder has no vae"


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (errors.DecontextError, 1),
        (errors.InputError, 2),
        (errors.EditorError, 2),
        (errors.AttentionError, 1),
        (errors.NotProtectedError, 1),
    ],
)
def test_exit_code_says_whose_turn_it_is(kind, exit_code):
    assert issubclass(kind, errors.DecontextError)
    assert kind("something").exit_code == exit_code


def test_errors_survive_pickling_between_processes():
    error = pickle.loads(pickle.dumps(errors.InputError("message", "hint")))
    assert str(error) == "message hint"
