"""Data parallel training: processes that share every batch, as torchrun starts them (or a verb's `--processes`)."""

import atexit
import os
import sys

import torch
import torch.distributed


def start(processes: int) -> None:
    """Run this very command in so many processes on this machine, in place of the present one.

    Returns at once where there is nothing to start: for one process, and in a process that torchrun has started.
    """
    if processes > 1 and "TORCHELASTIC_RUN_ID" not in os.environ:
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        os.execv(sys.executable, [sys.executable, *torchrun, "-m", "dimofs.cli", *sys.argv[1:]])


def join() -> None:
    """Join the processes that torchrun started beside this one, each with a GPU where there are any.

    They stay joined until they end. Nothing happens in a process that was started alone.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or torch.distributed.is_initialized():
        return
    gpus = torch.cuda.is_available()
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if gpus else "gloo")
    atexit.register(torch.distributed.destroy_process_group)
