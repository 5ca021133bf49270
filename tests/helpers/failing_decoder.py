"""A reader whose decoder crashes, hangs and eats memory as the file says."""

SICK = """
import os, signal, time
from dafnet_core.data import reader_process, readers

healthy = readers._decode

def decode(blobs, mask):
    content = blobs[0].data
    if content.startswith(b"crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if content.startswith(b"hang"):
        time.sleep(600)
    if content.startswith(b"eat"):
        eaten = [bytes(64 << 20) for _ in range(1000)]
    if content.startswith(b"print"):
        print("{}", flush=True)
    return healthy(blobs, mask)

readers._decode = decode
reader_process.serve()
"""
