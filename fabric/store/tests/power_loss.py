#!/usr/bin/env python3
"""Simulates a loss of power, by hand: `power_loss.py <crash test binary> <store> [seconds] [cuts] [seed] [durability]`.

The writer of `crash.rs` runs under strace. From what it wrote and flushed, the folder is built again as the disk may
hold it at a random moment: of each file everything that an fsync or fdatasync had finished with, and of what was written
since any part, each write for itself. Then the auditor of `crash.rs` must find every acknowledged batch.

Names of files (create, rename, unlink) count as durable at once, as on a journaling file system with ordered data.
`sync_file_range` counts for nothing: it flushes neither the file's metadata nor the cache of the disk.
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

CALLS = "openat,write,pwrite64,writev,ftruncate,fallocate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir"
LINE = re.compile(r"^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$")
PATH = re.compile(r"^(\d+)<((?:\\x[0-9a-f]{2})*)>")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
OFFSET = re.compile(r", (\d+)(?:\) += .*| <unfinished \.\.\.>)$")
SECTOR = 4096


class File:
    def __init__(self):
        self.durable = bytearray()
        self.pending = []
        self.overwritten = 0

    def write(self, offset, data):
        # Writing over what is durable is where a store can lose what it held.
        self.overwritten += offset < len(self.durable) and any(self.durable[offset : offset + len(data)])
        self.pending.append((offset, data))

    def flush(self, count):
        for offset, data in self.pending[:count]:
            put(self.durable, offset, data)
        del self.pending[:count]

    def end(self):
        return max([len(self.durable)] + [offset + len(data) for offset, data in self.pending])

    def after_power_loss(self, chance):
        content = bytearray(self.durable)
        for offset, data in self.pending:
            # A write may be lost, or arrive in part.
            fate = chance.random()
            if fate < 0.4:
                put(content, offset, data)
            elif fate < 0.6:
                put(content, offset, data[: chance.randrange(len(data) + 1) // SECTOR * SECTOR])
        return content


def put(content, offset, data):
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def text(arguments):
    return [plain(found) for found in TEXT.findall(arguments)]


def plain(hexadecimal):
    return bytes.fromhex(hexadecimal.replace("\\x", ""))


def descriptor(arguments):
    """The number of the first descriptor, and the path that strace gives for it."""
    found = PATH.match(arguments.strip())
    return (found[1], plain(found[2]).decode(errors="replace")) if found else ("", "")


class Disk:
    def __init__(self, root):
        self.root = root
        self.files = {}
        self.folders = {root}
        self.cursors = {}
        self.acknowledged = None
        self.flushing = {}

    def begin(self, thread, call, arguments):
        number, path = descriptor(arguments)
        if call in ("fsync", "fdatasync") and path in self.files:
            file = self.files[path]
            self.flushing[thread] = (file, len(file.pending))
        elif call == "write":
            data = text(arguments)[0]
            if number == "1":
                numbers = re.findall(rb"(?m)^(\d+)$", data)
                if numbers:
                    self.acknowledged = int(numbers[-1])
            elif path.startswith(self.root):
                file = self.file(path)
                offset = self.cursors.get(number, 0)
                file.write(offset, data)
                self.cursors[number] = offset + len(data)
        elif call == "pwrite64" and path.startswith(self.root):
            self.file(path).write(int(OFFSET.search(arguments)[1]), text(arguments)[0])
        elif call == "writev" and path.startswith(self.root):
            file = self.file(path)
            offset = self.cursors.get(number, 0)
            data = b"".join(text(arguments))
            file.write(offset, data)
            self.cursors[number] = offset + len(data)
        elif call in ("ftruncate", "fallocate") and path.startswith(self.root):
            numbers = [int(number) for number in re.findall(r", (\d+)", arguments)]
            file = self.file(path)
            file.flush(len(file.pending))  # sizes change rarely, and only where nothing waits
            end = numbers[0] if call == "ftruncate" else numbers[-2] + numbers[-1]
            if call == "ftruncate":
                del file.durable[end:]
            file.durable.extend(bytes(max(0, end - len(file.durable))))

    def end(self, thread, call, arguments, result):
        if result.startswith("-1") or result.startswith("?"):
            self.flushing.pop(thread, None)
            return
        if call in ("fsync", "fdatasync") and thread in self.flushing:
            file, count = self.flushing.pop(thread)
            file.flush(count)
        elif call == "openat":
            number, path = descriptor(result)
            self.cursors[number] = 0
            if path.startswith(self.root) and "O_DIRECTORY" not in arguments:
                if "O_CREAT" in arguments or "O_TRUNC" in arguments:
                    if path not in self.files or "O_TRUNC" in arguments:
                        self.files[path] = File()
                if "O_APPEND" in arguments and path in self.files:
                    self.cursors[number] = self.files[path].end()
        elif call.startswith("rename"):
            paths = [path.decode() for path in text(arguments)]
            if paths[0] in self.files:
                self.files[paths[1]] = self.files.pop(paths[0])
        elif call.startswith("unlink"):
            for path in text(arguments):
                self.files.pop(path.decode(), None)
        elif call == "mkdir":
            self.folders.update(path.decode() for path in text(arguments))

    def file(self, path):
        return self.files.setdefault(path, File())


def replay(disk, trace, look):
    unfinished = {}
    for number, line in enumerate(trace):
        found = LINE.match(line.rstrip())
        # The last line is cut off with the writer.
        if not found or not line.endswith("\n"):
            continue
        thread, resumed, call, rest = found.groups()
        if resumed:
            arguments = unfinished.pop((thread, resumed), "") + rest
            disk.end(thread, resumed, arguments, arguments.rpartition(" = ")[2])
        else:
            disk.begin(thread, call, rest)
            if rest.endswith("<unfinished ...>"):
                unfinished[(thread, call)] = rest
            else:
                disk.end(thread, call, rest, rest.rpartition(" = ")[2])
        look(number)


def main():
    binary, store = sys.argv[1:3]
    seconds, cuts = float((sys.argv[3:4] or ["5"])[0]), int((sys.argv[4:5] or ["50"])[0])
    seed = int((sys.argv[5:6] or [str(time.time_ns())])[0])
    # With Process the simulation must find losses, or it finds nothing anywhere.
    durability = (sys.argv[6:7] or ["Sync"])[0]
    print(f"{store} {durability}: seed {seed}")
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as work:
        root, trace = os.path.join(work, "data"), os.path.join(work, "trace")
        os.mkdir(root)
        command = ["strace", "-f", "-y", "-xx", "-s", "33554432", "-e", f"trace={CALLS}", "-e", "signal=none"]
        command += ["-o", trace, binary, "--exact", "writer", "--nocapture", "--test-threads=1"]
        environment = dict(os.environ, PERPER_CRASH_WRITER=f"{store} {durability} {root}")
        writer = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(seconds)
        os.killpg(writer.pid, signal.SIGKILL)
        writer.wait()
        print(f"{os.path.getsize(trace) >> 20} MB of trace")
        with open(trace, errors="replace") as lines:
            count = sum(1 for _ in lines)
        moments = set(chance.sample(range(count // 20, count), min(cuts, count - count // 20)))
        failed = 0
        done = 0
        disk = Disk(root)

        def look(number):
            nonlocal failed, done
            if number not in moments or disk.acknowledged is None:
                return
            done += 1
            with tempfile.TemporaryDirectory() as image:
                for folder in sorted(disk.folders):
                    os.makedirs(image + folder[len(root) :], exist_ok=True)
                unflushed = []
                for path, file in disk.files.items():
                    if file.pending:
                        unflushed.append(os.path.relpath(path, root))
                    place = image + path[len(root) :]
                    os.makedirs(os.path.dirname(place), exist_ok=True)
                    with open(place, "wb") as output:
                        output.write(file.after_power_loss(chance))
                task = f"{store} {durability} {disk.acknowledged} {image}"
                audit = subprocess.run(
                    [binary, "--exact", "auditor", "--nocapture"],
                    env=dict(os.environ, PERPER_CRASH_AUDITOR=task, RUST_BACKTRACE="0"),
                    capture_output=True,
                    text=True,
                    timeout=120,
                )
                if audit.returncode != 0:
                    failed += 1
                    said = [line for line in audit.stderr.splitlines() if line.strip()]
                    print(f"line {number}, acknowledged {disk.acknowledged}, unflushed {unflushed}:", *said[:4], sep="\n    ")

        with open(trace, errors="replace") as lines:
            replay(disk, lines, look)
        print(f"{store}: {done} losses of power, {failed} of them lost or tore what was acknowledged")
        for path, file in disk.files.items():
            if file.overwritten:
                print(f"{file.overwritten} writes over durable content of {os.path.relpath(path, root)}")
    sys.exit(failed > 0)


main()
