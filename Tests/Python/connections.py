"""Opens many connections from 127.0.0.2, each of which asks for the same stream, and holds them. Meanwhile somebody else asks for
GET /user/me from 127.0.0.3, 15 times a second. Prints what the connections were answered and how long the other waited; fails
where the other was refused, or waited for LIMIT milliseconds or more (p99).

usage: connections.py PORT COUNT SECONDS LIMIT STREAM-PATH TOKEN OTHER-TOKEN"""

import asyncio, collections, multiprocessing, resource, socket, sys, time

port, count, seconds, limit = map(int, sys.argv[1:5])
path, token, other = sys.argv[5:]
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def request(path, token):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def stream(answers, gate):
    """Asks for the stream; whoever is refused keeps the connection for as long as it may."""
    try:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
            writer.write(request(path, token))
            line = await reader.readline()
        answers[line.split(b" ")[1].decode() if line else "closed"] += 1
        while await reader.read(65_536):
            pass
    except OSError as error:
        answers[type(error).__name__] += 1
    await asyncio.sleep(3_600)


async def flood(results):
    answers, gate = collections.Counter(), asyncio.Semaphore(500)
    tasks = [asyncio.create_task(stream(answers, gate)) for _ in range(count)]
    await asyncio.sleep(seconds)
    results.put(dict(answers))
    for task in tasks:
        task.cancel()


results = multiprocessing.Queue()
flooding = multiprocessing.Process(target=lambda: asyncio.run(flood(results)))
flooding.start()
waits, refused, began = [], collections.Counter(), time.monotonic()
while time.monotonic() < began + seconds:
    asked = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), 10, ("127.0.0.3", 0)) as connection:
            connection.sendall(request("/user/me", other))
            line = connection.recv(1_024).split(b"\r\n")[0]
        if b" 200 " not in line:
            refused[line.decode()] += 1
    except OSError as error:
        refused[type(error).__name__] += 1
    waits.append(time.monotonic() - asked)
    time.sleep(max(0, asked + 1 / 15 - time.monotonic()))
answers = results.get()
flooding.join()
waits.sort()
p99 = waits[int(len(waits) * 0.99)] * 1_000
print(f"{count} connections of one account and address: {answers}")
print(f"another's {len(waits)} requests meanwhile: median {waits[len(waits) // 2] * 1_000:.1f} ms, p99 {p99:.1f} ms, refused {dict(refused)}")
sys.exit(bool(refused) or p99 >= limit or sum(answers.values()) < count)
