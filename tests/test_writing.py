"""Files are written completely or not at all, and keep their kind, mode, owner and links."""

import os
import stat
import struct
import subprocess
import threading

import pytest

from fastem import GaussianMixture, load
from fastem.system.writing import check_target, write_together, write_whole


@pytest.fixture
def model():
    return GaussianMixture(2)


@pytest.fixture(params=["umask 022", "umask 077"])
def umask(request):
    before = os.umask(int(request.param[-3:], 8))
    yield int(request.param[-3:], 8)
    os.umask(before)


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_an_existing_file_keeps_its_mode_and_a_new_one_follows_the_umask(model, tmp_path, umask):
    model.save(tmp_path / "new.json")
    assert mode_of(tmp_path / "new.json") == 0o666 & ~umask
    for mode in (0o600, 0o640, 0o664, 0o200):
        path = tmp_path / f"{mode:o}.json"
        path.write_text("old")
        path.chmod(mode)
        model.save(path)
        assert mode_of(path) == mode


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_nobody_reads_the_temporary_file_who_may_not_read_the_target(mode, tmp_path):
    path = tmp_path / "secret.csv"
    path.write_bytes(b"old")
    path.chmod(mode)
    seen = []
    write_whole(path, lambda file: (file.write(b"new"), seen.append(mode_of(file.name))))
    assert seen == [mode]
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_an_existing_file_keeps_its_owner(model, tmp_path):
    path = tmp_path / "model.json"
    path.write_text("old")
    path.chmod(0o600)
    os.chown(path, 1234, 4321)
    model.save(path)
    status = path.stat()
    assert (status.st_uid, status.st_gid, mode_of(path)) == (1234, 4321, 0o600)


def test_a_group_that_cannot_be_kept_gives_no_rights_to_another(model, tmp_path, monkeypatch):
    path = tmp_path / "model.json"
    path.write_text("old")
    fstat, refuse = os.fstat, lambda *arguments: (_ for _ in ()).throw(PermissionError(1, "Operation not permitted"))

    def as_of_another_group(descriptor):
        return os.stat_result([*fstat(descriptor)[:5], 77777, *fstat(descriptor)[6:]])

    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "fstat", as_of_another_group)
    for before, after in ((0o660, 0o600), (0o664, 0o644), (0o640, 0o600), (0o666, 0o666), (0o606, 0o606)):
        path.chmod(before)
        model.save(path)
        assert mode_of(path) == after


def test_an_access_list_is_kept_or_gives_no_rights(model, tmp_path, monkeypatch):
    path = tmp_path / "model.json"
    path.write_text("old")
    entries = [(1, 6, 2**32 - 1), (2, 4, 1234), (4, 0, 2**32 - 1), (16, 6, 2**32 - 1), (32, 0, 2**32 - 1)]
    access = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", access)
    except (OSError, AttributeError):
        pytest.skip("no access lists")
    assert mode_of(path) == 0o660, "the most that users and groups of the list may do"
    model.save(path)
    assert os.getxattr(path, "system.posix_acl_access") == access
    with monkeypatch.context() as patch:
        patch.setattr(os, "setxattr", lambda *arguments: os.stat(tmp_path / "no"))  # fails, as without access lists
        model.save(path)
    assert mode_of(path) == 0o600


def test_a_character_device_stays_one():
    if not os.path.exists("/dev/null"):
        pytest.skip("no devices")
    write_whole("/dev/null", b"text")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_written_to(model, tmp_path):
    pipe, link = tmp_path / "pipe.json", tmp_path / "link.json"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        read = []
        reader = threading.Thread(target=lambda read=read: read.append(pipe.read_bytes()))
        reader.start()
        model.save(path)
        reader.join(10)
        (tmp_path / "copy.json").write_bytes(read[0])
        assert load(tmp_path / "copy.json").n_components == 2
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["copy.json", "link.json", "pipe.json"]


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no links to open files")
def test_an_open_file_is_written_to_where_it_stands(tmp_path):
    path = tmp_path / "out.txt"
    with path.open("wb", buffering=0) as file:
        file.write(b"before ")
        (tmp_path / "link").symlink_to(f"/proc/self/fd/{file.fileno()}")
        write_whole(tmp_path / "link", b"within")
        file.write(b" after")
        assert os.fstat(file.fileno()).st_ino == path.stat().st_ino
    assert path.read_bytes() == b"before within after"


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no links to open files")
def test_an_open_file_of_another_process_loses_nothing(tmp_path):
    path = tmp_path / "out.txt"
    with path.open("wb") as file, subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file) as other:
        file.write(b"before ")
        file.flush()
        write_whole(f"/proc/{other.pid}/fd/1", b"within")
    assert path.read_bytes() == b"before within"


def test_a_symbolic_link_stays_and_a_hard_link_keeps_the_old_content(tmp_path):
    target, link, dangling, hard = (tmp_path / name for name in ("target", "link", "dangling", "hard"))
    target.write_bytes(b"old")
    link.symlink_to("target")
    dangling.symlink_to("new")
    os.link(target, hard)
    for path in (link, dangling):
        write_whole(path, b"new")
        assert path.is_symlink()
    assert (target.read_bytes(), hard.read_bytes(), (tmp_path / "new").read_bytes()) == (b"new", b"old", b"new")


def test_names_may_be_as_long_as_the_system_permits_and_paths_be_bytes(tmp_path):
    path = tmp_path / ("n" * 255)
    write_whole(path, b"1")
    write_whole(os.fsencode(path), b"2")
    assert path.read_bytes() == b"2"


def refused_targets(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "loop").symlink_to("pool")
    (tmp_path / "pool").symlink_to("loop")
    yield tmp_path / "folder", IsADirectoryError, "is a folder"
    yield "", FileNotFoundError, "is no name"
    yield f"{tmp_path}/new/", IsADirectoryError, "is no name"
    yield tmp_path / "absent" / "file", FileNotFoundError, "there is no folder"
    yield tmp_path / "file" / "file", NotADirectoryError, "Not a directory"
    yield tmp_path / "loop", OSError, "symbolic links"
    yield tmp_path / ("n" * 300), OSError, "too long"


def test_what_cannot_be_written_is_refused_before_and_named(tmp_path):
    for path, error, message in refused_targets(tmp_path):
        for refusing in (check_target, lambda path: write_whole(path, b"new")):
            with pytest.raises(error, match=message) as caught:
                refusing(path)
            assert caught.value.filename == os.fspath(path)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "loop", "pool"]


def test_what_may_not_be_written_to_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    for name in (path, tmp_path):
        with monkeypatch.context() as patch:
            patch.setattr(os, "access", lambda asked, how, name=name: asked != str(name))
            with pytest.raises(PermissionError, match="may not be written to"):
                check_target(path)
    with monkeypatch.context() as patch:  # in /tmp, a file of somebody else
        patch.setattr(os, "geteuid", lambda: 54321)
        tmp_path.chmod(0o1777)
        with pytest.raises(PermissionError, match="only its owner may replace it"):
            check_target(path)
    assert path.read_bytes() == b"old"


def test_a_socket_is_refused(tmp_path):
    socket = pytest.importorskip("socket")
    if not hasattr(socket, "AF_UNIX"):
        pytest.skip("no sockets with names")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "s"))
        with pytest.raises(OSError, match="is no regular file"):
            write_whole(tmp_path / "s", b"")


@pytest.mark.parametrize("old", [b"old", None])
def test_of_several_files_all_are_written_or_none(old, tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path in paths:
        if old is not None:
            path.write_bytes(old)

    def fail(file):
        file.write(b"half")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_together({paths[0]: b"new", paths[1]: fail, paths[2]: b"new"})
    assert [path.read_bytes() for path in paths if path.exists()] == ([] if old is None else [old] * 3)
    write_together(dict.fromkeys(paths, b"new"))
    assert [path.read_bytes() for path in paths] == [b"new"] * 3
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]


def test_threads_may_write_one_file_at_the_same_time(tmp_path):
    path, contents = tmp_path / "file", [bytes([65 + i]) * 100_000 for i in range(8)]
    threads = [threading.Thread(target=write_whole, args=(path, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["file"]
