"""Programs that want everything: processes, memory, output, files. Each is contained and reported."""

from __future__ import annotations

from dataclasses import replace

from .conftest import LIMITS

SHORT = replace(LIMITS, time_s=1.0)


def test_a_fork_bomb_meets_the_limit_of_processes(run):
    ended = run("""
        import os, sys, time
        made = 0
        try:
            while True:
                if os.fork() == 0:
                    time.sleep(60)
                made += 1
        except OSError as error:
            print(made, error.errno)
    """)
    made, number = map(int, ended.stdout.split())
    assert (ended.ended, number) == ("exit", 11)  # EAGAIN
    assert made < LIMITS.processes


def test_a_fork_bomb_that_goes_on_is_ended_in_time(run):
    ended = run(
        """
        import os
        while True:
            try:
                os.fork()
            except OSError:
                pass
        """,
        SHORT,
    )
    assert ended.ended == "time"


def test_too_many_threads_meet_the_same_limit(run):
    ended = run("""
        import threading, time
        started = 0
        try:
            for _ in range(1000):
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
                started += 1
        except RuntimeError:
            print(started)
    """)
    assert ended.ended == "exit"
    assert int(ended.stdout) < LIMITS.processes


def test_one_process_cannot_have_more_memory_than_the_limit(run):
    ended = run("held = bytearray(600 << 20)")
    assert (ended.ended, ended.status) == ("exit", 1)
    assert "MemoryError" in ended.stderr


def test_many_processes_together_cannot_have_more_memory_than_the_limit(run):
    ended = run("""
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                break
        held = [bytearray(b"x" * (1 << 20)) for _ in range(300)]
        time.sleep(60)
    """)
    assert ended.ended == "memory"


def test_output_without_end_is_cut(run):
    ended = run("while True: print('x' * 1000)")
    assert ended.ended == "output"
    assert 0 < len(ended.stdout) <= LIMITS.output_kib << 10


def test_output_of_control_characters_without_end_is_cut(run):
    ended = run("import os\nwhile True: os.write(2, bytes(65536))")
    assert ended.ended == "output"
    assert len(ended.stderr) <= LIMITS.output_kib << 10


def test_a_zip_bomb_meets_the_limit_of_a_file(run):
    ended = run("""
        import io, zipfile
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb", "w") as bomb:
            for _ in range(200):
                bomb.write(bytes(1 << 20))
        print(len(held.getvalue()) < 1 << 20)
        zipfile.ZipFile(held).extractall(".")
    """)
    assert ended.stdout == "True\n"
    assert "File too large" in ended.stderr


def test_a_zip_bomb_in_memory_meets_the_limit_of_memory(run):
    ended = run(
        """
        import zlib
        packer = zlib.compressobj()
        packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(150)) + packer.flush()
        print(len(packed) < 1 << 20)
        zlib.decompress(packed)
        """,
        replace(LIMITS, memory_mib=128),
    )
    assert ended.ended == "memory" or (ended.stdout, "MemoryError" in ended.stderr) == ("True\n", True)


def test_a_huge_sparse_file_is_refused(run):
    ended = run("open('sparse', 'wb').truncate(1 << 40)")
    assert "File too large" in ended.stderr


def test_the_disk_is_full_early(run):
    ended = run("""
        import os
        written = 0
        try:
            for number in range(1000):
                with open(f"part{number}", "wb") as part:
                    part.write(bytes(8 << 20))
                    written += 8
        except OSError as error:
            print(written, error.errno)
    """)
    written, number = map(int, ended.stdout.split())
    assert number == 28  # ENOSPC
    assert written <= LIMITS.disk_mib


def test_files_without_end_are_ended(sandbox, run):
    ended = run(
        """
        number = 0
        try:
            while True:
                open(f"file{number}", "w").close()
                number += 1
        except OSError as error:
            print(error.errno)
        """,
        replace(LIMITS, time_s=5.0),
    )
    assert ended.stdout == "28\n" if sandbox.name == "unshare" else ended.ended == "time"
