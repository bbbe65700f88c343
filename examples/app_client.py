"""Protect a photo through a running `decontext app`, from another program.

    decontext app --port 7860
    python examples/app_client.py me.jpg -o me.protected.jpg --address http://127.0.0.1:7860/

Needs `pip install gradio_client`, which is in the extra `app`, and nothing else of decontext. The
page must be open at that address; with a password, set DECONTEXT_PASSWORD.
"""

import argparse
import base64
import os
import sys
from pathlib import Path

import httpx
from gradio_client import Client, handle_file


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--address", default="http://127.0.0.1:7860/")
    parser.add_argument("--editor", default="kontext-mini")
    parser.add_argument("--strength", default="standard")
    parser.add_argument("--accept-weak", action="store_true")
    args = parser.parse_args()
    headers = _login()
    client = Client(args.address, headers=headers, verbose=False, analytics_enabled=False)
    job = client.submit(
        [handle_file(args.photo)],
        args.editor,
        args.strength,
        "keep",
        args.accept_weak,
        api_name="/protect",
    )
    for told in job:  # how far it is; the last one is the result
        if told["state"] == "running":
            print(f"{told['stage']}: {told['part']:.0%}", file=sys.stderr)
    (result,) = job.outputs()[-1]["results"]
    print(result["sentence"])
    with httpx.Client(base_url=args.address, headers=headers) as files:
        args.output.write_bytes(files.get(result["photo"]).raise_for_status().content)
    return 0


def _login() -> dict[str, str]:
    password = os.environ.get("DECONTEXT_PASSWORD")
    if not password:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"any:{password}".encode()).decode()}


if __name__ == "__main__":
    sys.exit(main())
