import SystemCalls
import TestSupport
import Testing

@Suite struct SystemCallsTests {
  /// The error of a call that has to fail.
  private func error(_ call: () throws(SystemError) -> Void) -> SystemError? {
    do {
      try call()
      return nil
    } catch {
      return error
    }
  }

  @Test func `a file is read up to a limit`() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/file"
    for size in [0, 1, 4_095, 4_096, 70_000] {
      let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      try directory.write(bytes, to: "file")
      let whole = try FileSystem.read(path, atMost: size)
      #expect(whole.bytes == bytes && !whole.isTruncated && whole.status.size == Int64(size))
      if size > 0 {
        let part = try FileSystem.read(path, atMost: size - 1)
        #expect(part.bytes == Array(bytes.dropLast()) && part.isTruncated)
      }
    }
    // Files without a size of their own.
    #expect(try !FileSystem.read("/proc/self/status", atMost: 1 << 20).bytes.isEmpty)
  }

  @Test func `only regular files are read where nothing else is wanted`() throws {
    let directory = try TemporaryDirectory()
    try directory.write("x", to: "file")
    let path = directory.path
    _ = try run("ln", ["-s", "file", "\(path)/link"])
    _ = try run("mkfifo", ["\(path)/pipe"])
    #expect(try FileSystem.read("\(path)/link", atMost: 9).bytes == [0x78])
    for name in ["link", "pipe"] {
      let found = error { () throws(SystemError) in
        _ = try FileSystem.read("\(path)/\(name)", atMost: 9, regularOnly: true)
      }
      #expect(found?.kind == .wrongKind)
    }
    let found = error { () throws(SystemError) in _ = try FileSystem.read(path, atMost: 9) }
    #expect(found?.kind == .wrongKind)
  }

  @Test func `an error names the call, the path and the system's own words`() throws {
    let found = error { () throws(SystemError) in _ = try FileSystem.read("/nowhere/file", atMost: 9) }
    #expect(found == SystemError(code: 2, call: "open", path: "/nowhere/file"))
    #expect(found.map { "\($0)" } == "open /nowhere/file: No such file or directory")
    #expect(found?.kind == .notFound)
  }

  @Test func `a directory is listed with the kinds of its files`() throws {
    let directory = try TemporaryDirectory()
    try directory.write("x", to: "sub/file")
    try directory.write("x", to: ".hidden")
    _ = try run("ln", ["-s", "nowhere", "\(directory.path)/link"])
    _ = try run("mkfifo", ["\(directory.path)/pipe"])
    var kinds: [String: FileStatus.Kind] = [:]
    for entry in try FileSystem.list(directory.path) {
      kinds[entry.name] = try entry.kind ?? FileSystem.status("\(directory.path)/\(entry.name)")?.kind
    }
    #expect(kinds == ["sub": .directory, ".hidden": .regular, "link": .symbolicLink, "pipe": .special])
    let found = error { () throws(SystemError) in _ = try FileSystem.list("\(directory.path)/.hidden") }
    #expect(found?.kind == .notADirectory)
  }

  @Test func `a status tells kind, size, time and permissions`() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/file"
    try directory.write("four", to: "file")
    _ = try run("chmod", ["640", path])
    _ = try run("touch", ["-d", "@1780315200.123456789", path])
    _ = try run("ln", ["-s", "file", "\(directory.path)/link"])
    let status = try FileSystem.status(path)
    #expect(status?.kind == .regular && status?.size == 4 && status?.permissions == 0o640)
    #expect(status?.modifiedNanoseconds == 1_780_315_200_123_456_789)
    #expect(try FileSystem.status("\(directory.path)/link") == status)
    #expect(try FileSystem.status("\(directory.path)/link", followingLinks: false)?.kind == .symbolicLink)
    #expect(try FileSystem.status("\(path)/below") == nil)
    #expect(try FileSystem.status("\(directory.path)/missing") == nil)
    #expect(FileSystem.isDirectory(directory.path) && !FileSystem.isDirectory(path))
  }

  @Test func `directories are made with those above them`() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/a/b/c"
    try FileSystem.makeDirectories(path, permissions: 0o700)
    try FileSystem.makeDirectories(path + "/", permissions: 0o755)
    #expect(try FileSystem.status("\(directory.path)/a")?.permissions == 0o700)
    #expect(try FileSystem.status(path)?.permissions == 0o700)
    try directory.write("x", to: "file")
    let found = error { () throws(SystemError) in try FileSystem.makeDirectories("\(directory.path)/file/x") }
    #expect(found?.kind == .notADirectory && found?.path == "\(directory.path)/file")
  }

  @Test func `touching makes a file or moves its time, and keeps what is in it`() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/alive"
    try FileSystem.touch(path)
    #expect(try FileSystem.status(path)?.size == 0)
    try directory.write("kept", to: "alive")
    _ = try run("touch", ["-d", "@1000", path])
    try FileSystem.touch(path)
    #expect(directory.read("alive") == "kept")
    #expect(try FileSystem.status(path)?.modifiedNanoseconds != 1_000_000_000_000)
    let found = error { () throws(SystemError) in try FileSystem.touch("\(directory.path)/missing/alive") }
    #expect(found?.kind == .notFound)
  }

  @Test func `a file is replaced as a whole`() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/file"
    try directory.write("the old content", to: "file")
    let old = try FileSystem.status(path)
    try FileSystem.replace(path, with: Array("new".utf8))
    #expect(directory.read("file") == "new")
    let new = try FileSystem.status(path)
    #expect(new?.inode != old?.inode && new?.permissions == 0o600)
    // A directory cannot be replaced by a file; nothing is left behind.
    try FileSystem.makeDirectories("\(directory.path)/taken/x")
    let found = error { () throws(SystemError) in try FileSystem.replace("\(directory.path)/taken", with: []) }
    #expect(found != nil)
    #expect(Set(try FileSystem.list(directory.path).map(\.name)) == ["file", "taken"])
    try FileSystem.remove(path)
    try FileSystem.remove(path)
    #expect(try FileSystem.status(path) == nil)
  }

  @Test func `a lock is held by one, and is free once its holder is gone`() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/lock"
    func others() throws -> Int32 { try run("flock", ["--nonblock", path, "true"]).code }
    do {
      let lock = try FileLock(path)
      let second = error { () throws(SystemError) in _ = try FileLock(path) }
      #expect(second?.kind == .locked && second?.path == path)
      #expect(try others() == 1)
      _ = consume lock
    }
    // A program that another test is just starting may have a copy of the descriptor until it runs.
    #expect(try eventually { try others() == 0 })
    // A holder that is killed holds nothing.
    let holder = try ChildProcess("flock", ["--no-fork", path, "sleep", "600"])
    #expect(try eventually { try others() == 1 })
    holder.signal(9)
    holder.wait()
    #expect(try others() == 0)
  }

  @Test func `the process knows its machine, its number and its environment`() throws {
    #expect(ThisProcess.hostName == (try run("uname", ["-n"]).output.filter { $0 != "\n" }))
    #expect(try FileSystem.status("/proc/\(ThisProcess.id)/exe") == FileSystem.status("/proc/self/exe"))
    #expect(ThisProcess.environment == currentEnvironment())
    #expect(ThisProcess.environment["PATH"] != nil)
    let random = ThisProcess.randomBytes(32)
    #expect(random.count == 32 && random != ThisProcess.randomBytes(32))
  }

  @Test func `signals arrive as values`() async throws {
    // SIGUSR1, SIGUSR2
    let stream = try SignalWatcher.watch([10, 12])
    let again = error { () throws(SystemError) in _ = try SignalWatcher.watch([10]) }
    #expect(again?.call == "sigaction")
    var signals = stream.makeAsyncIterator()
    for (name, number) in [("-USR1", 10), ("-USR2", 12), ("-USR1", 10)] as [(String, Int32)] {
      _ = try run("kill", [name, "\(ThisProcess.id)"])
      #expect(await signals.next() == number)
    }
  }

  /// How much of the code of this process is in memory, in kB, as the kernel counts it.
  private func codeInMemory() throws -> Int {
    let maps = String(decoding: try FileSystem.read("/proc/self/smaps", atMost: 16 << 20).bytes, as: UTF8.self)
    var (isCode, sum) = (false, 0)
    for line in maps.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words[0].last != ":" {
        isCode = words[1] == "r-xp" && words.last?.first == "/"
      } else if isCode, words[0] == "Rss:" {
        sum += Int(words[1]) ?? 0
      }
    }
    return sum
  }

  @Test func `code is given back, and what still runs comes again`() throws {
    let before = try codeInMemory()
    ThisProcess.releaseCode()
    let after = try codeInMemory()
    #expect(after > 0 && after < before, "\(before) kB before, \(after) kB after")
    #expect(try FileSystem.status("/proc/self/exe") != nil)
  }
}
