"""AES-256-GCM by Tink; run by `benchmarks.encryption` in the peer's environment."""

import os
import time

import tink
from tink import aead

from benchmarks.peers import serve

aead.register()
BOXES = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM).primitive(aead.Aead)


def timed(size: int) -> dict:
    """Return CPU seconds of sealing and of opening so many bytes."""
    data = os.urandom(size)
    start = time.process_time()
    box = BOXES.encrypt(data, b"")
    between = time.process_time()
    BOXES.decrypt(box, b"")
    return {"sealing": between - start, "opening": time.process_time() - between}


if __name__ == "__main__":
    serve(timed, "tink")
