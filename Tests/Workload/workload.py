"""Workers that do to an outbox what applications do, and the truth about it.

    workload.py make SYSTEM ADDRESS
    workload.py SYSTEM ADDRESS DIRECTORY SEED WORKERS OPERATIONS

The first makes the tables or the directory. SYSTEM is one of those below, with `-unindexed` behind it to leave out the
index that history needs; ADDRESS is a PostgreSQL conninfo, the path of an SQLite file or that of a directory; OPERATIONS
are those that are done, by name, and what they are done like: `evict` prunes dead events too, `move` puts some of them into
the table for them, from where some come back, `quit` kills a worker between two transactions, `tidal` has
events come until the next pause and leave until the one after it, `apart` has events come back in every third stretch between
two pauses only, the second and so on, and none leave in these, `patient` has deadlines pass in each pause, `paced` touches a
file once between two pauses, `hasty` prunes at once.

Every worker is a process with a connection of its own. While the file `pause` is in DIRECTORY nobody does anything, and
`truth.json` says what was done so far: the number of each movement by queue and destination. Where `quiet` is there when
`pause` goes, nobody does anything until the next pause either. The file `stop` ends the workload.
"""

import collections, json, multiprocessing, os, random, signal, sys, time

import directories, postgresql_systems, sqlite_systems, tables

SYSTEMS = {
    "aihummer": postgresql_systems.AiHummer, "kaireon": postgresql_systems.Kaireon,
    "relaycast-postgresql": postgresql_systems.RelaycastInPostgreSQL, "praisonai": sqlite_systems.PraisonAI,
    "relaycast": sqlite_systems.Relaycast, "openclaw": sqlite_systems.OpenClaw,
    "praisonai-outbound-letters": sqlite_systems.PraisonAIOutboundLetters,
    "praisonai-inbound-letters": sqlite_systems.PraisonAIInboundLetters}


def exists(directory, name):
    """Whether something was asked for. Where a run is killed nobody is left to ask for the end, and its directory goes."""
    return os.path.exists(os.path.join(directory, name)) or name == "stop" and not os.path.isdir(directory)


def is_directory(system):
    return system.endswith("-files")


def make(system, address):
    if is_directory(system):
        os.makedirs(f"{address}/failed")
        return
    name = system.removesuffix("-unindexed")
    database = (tables.SQLite if address.startswith("/") else tables.PostgreSQL)(address)
    database.make(SYSTEMS[name]().schema(name == system))


def work(system, address, directory, seed, slot, operations, epoch):
    chance = random.Random(seed)
    kind = directories.Directory if is_directory(system) else tables.Outbox
    outbox = kind(SYSTEMS.get(system, object)(), address, operations, slot, directory)
    steps, isQuiet = 0, False
    while True:
        # A look at the directory costs as much as an operation.
        steps += 1
        if steps % 8 == 0 or is_directory(system):
            if exists(directory, "stop"):
                return
            if exists(directory, "pause"):
                outbox.rest()
                idle = os.path.join(directory, f"idle-{os.getpid()}")
                open(idle, "w").close()
                while exists(directory, "pause") and not exists(directory, "stop"):
                    time.sleep(0.01)
                if exists(directory, "stop"):
                    return
                outbox.resume()
                os.remove(idle)
                isQuiet = exists(directory, "quiet")
        if isQuiet:
            time.sleep(0.01)
        else:
            outbox.step(chance, epoch.value)


def pause(system, address, directory, truth, epoch):
    """Says what was done, and waits until everybody goes on."""
    if is_directory(system):
        directories.take_truth(directory, truth)
    else:
        tables.take_truth(SYSTEMS[system](), address, truth)
    told = [dict(queue=queue, kind=kind, destination=name, count=count)
            for (queue, kind, name), count in sorted(truth.items()) if count]
    with open(os.path.join(directory, "truth.tmp"), "w") as file:
        json.dump(told, file)
    os.rename(os.path.join(directory, "truth.tmp"), os.path.join(directory, "truth.json"))
    epoch.value += 1

    def goes_on():
        return not exists(directory, "pause") and not any(name.startswith("idle-") for name in os.listdir(directory))

    while not exists(directory, "stop") and not goes_on():
        time.sleep(0.01)
    os.remove(os.path.join(directory, "truth.json"))


def main():
    system, address, directory, seed, workers, operations = sys.argv[1:7]
    system = system.removesuffix("-unindexed")
    operations = operations.split(",")
    epoch = multiprocessing.Value("l", 1)
    truth = collections.Counter()
    parent = os.getppid()
    processes = {}
    number = 0
    while not exists(directory, "stop"):
        if os.getppid() != parent:
            for process in processes.values():
                process.kill()
            return
        for slot in range(int(workers)):
            if slot not in processes or not processes[slot].is_alive():
                if slot in processes and processes[slot].exitcode not in (0, -signal.SIGKILL):
                    for process in processes.values():
                        process.terminate()
                    sys.exit("a worker failed")
                number += 1
                arguments = (system, address, directory, f"{seed}-{number}", slot, operations, epoch)
                processes[slot] = multiprocessing.Process(target=work, args=arguments)
                processes[slot].start()
        if exists(directory, "pause") and not exists(directory, "truth.json"):
            if all(exists(directory, f"idle-{process.pid}") for process in processes.values()):
                pause(system, address, directory, truth, epoch)
        time.sleep(0.01)
    for process in processes.values():
        process.join()


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:4])
    else:
        main()
