"""What a Trainer may call after each step."""

__all__ = ["TensorBoard"]


class TensorBoard:
    """Writes each step's numbers to a folder as TensorBoard's event files, under the names that Hugging
    Face's integration gives them: train/loss, eval/loss, ... Wants tensorboardX (the extra
    "tensorboard")."""

    def __init__(self, folder):
        from tensorboardX import SummaryWriter  # only where it is wanted
        self._writer = SummaryWriter(str(folder))

    def __call__(self, step):
        for name, value in step.items():
            if name in ("step", "total_steps"):
                continue
            group, _, rest = name.partition("_")
            tag = f"eval/{rest}" if group == "eval" else f"train/{name}"
            self._writer.add_scalar(tag, value, step["step"])

    def close(self):
        """Writes what is left."""
        self._writer.close()
