"""The networks of the paper (§3, §5.1): they know tensors, and no data set."""

import sys
from importlib import import_module
from types import ModuleType


def _import_torchvision() -> None:
    """Import torchvision without torch's compiler: 5 of the 9 seconds that a verb would need to start.

    Its RoIAlign imports a function of the compiler that it calls only where gradients must be deterministic on a GPU;
    here that function imports the compiler when it is called.
    """
    compiler, functions = ModuleType("torch._dynamo"), ModuleType("torch._dynamo.utils")
    import_module("torch")  # which must not meet the stand-ins
    if compiler.__name__ in sys.modules:
        return

    def is_compile_supported(device_type: str) -> bool:
        return bool(import_module(functions.__name__).is_compile_supported(device_type))

    functions.__dict__["is_compile_supported"] = is_compile_supported
    stand_ins = {module.__name__: module for module in (compiler, functions)}
    sys.modules.update(stand_ins)
    try:
        import_module("torchvision")
    finally:
        for name in stand_ins:
            del sys.modules[name]


_import_torchvision()
