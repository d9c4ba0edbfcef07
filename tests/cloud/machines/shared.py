"""What EFS file systems are here: directories, found at the addresses of their mount targets (mount_nfs4.sh)."""
import pathlib
import shutil


class Shared:
    def __init__(self, directory: pathlib.Path):
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def become(self, systems: list[str], served: dict[str, str]) -> None:
        """The file systems that there are, and which is served at which address."""
        wanted = {*systems, *served}
        for path in self._directory.iterdir():
            if path.name in wanted:
                continue
            if path.is_symlink():
                path.unlink()
            else:
                shutil.rmtree(path, ignore_errors=True)
        for name in systems:
            (self._directory / name).mkdir(exist_ok=True)
        for address, name in served.items():
            if not (self._directory / address).is_symlink():
                (self._directory / address).symlink_to(name)
