"""Says whether two saved models are the same, bit for bit: exit code 0 if they are, 1 if not."""
import hashlib
import sys

import torch


def digest(path):
    state = torch.load(path)
    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.numpy().tobytes())
    return total.hexdigest(), len(state)


first, tensors = digest(sys.argv[1])
second, _ = digest(sys.argv[2])
print(f"{sys.argv[1]}: {first}\n{sys.argv[2]}: {second}")
if first != second:
    sys.exit("the models differ")
print(f"all {tensors} tensors are equal, bit for bit")
