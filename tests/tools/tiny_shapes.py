"""Configs of textured_shapes, cut down to 8 + 4 images and an epoch."""


def write_config(config, folder, data_root, prefix="resizer", lines=""):
    """Writes a config that inherits one of the family; returns its path.

    Args:
        config (Path): The learned one.
        folder (Path): For the file, which is named by the prefix.
        data_root (Path): Where the images are, or will be.
        prefix (str): Of the name of another one with the same backbone.
        lines (str): More settings.
    """
    base = config.with_name(config.name.replace("resizer", prefix, 1))
    data = f'dict(data_root="{data_root}", num_train=8, num_val=4)'
    path = folder / f"{prefix}.py"
    path.write_text(f"""
_base_ = ["{base}"]
train_dataloader = dict(batch_size=4, num_workers=0, dataset={data})
val_dataloader = dict(batch_size=2, num_workers=0, dataset={data})
test_dataloader = dict(batch_size=2, num_workers=0, dataset={data})
train_cfg = dict(max_epochs=1, val_interval=1)
{lines}
""")
    return path
