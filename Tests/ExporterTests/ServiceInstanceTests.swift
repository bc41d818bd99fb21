import CryptoClient
import Exporter
import SystemCalls
import TestSupport
import Testing

@Suite struct `The sidecar's identity` {
  // From Python: uuid.uuid5(uuid.UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320"), name)
  @Test(arguments: [
    ("", "778f72e5-f77c-594e-9915-b8a66fe1b88d"), ("host\norders", "1d77e28b-300b-5fed-a3ba-e43cf4a4eaf9"),
    ("host\na\nb", "2765aa7b-cd5d-57dc-82bd-878dd0ed2439"),
    ("Größe ✓\nonce 0", "d79f8093-2af4-58db-b154-bceb4673b01e"),
    (String(repeating: "x", count: 1000), "782f381b-7e6c-55c9-b3ea-24f642e8c5db"),
  ]) func `by name is a version 5 UUID in the semantic conventions' namespace`(name: String, id: String) {
    #expect(NameBasedUUID.serviceInstance(name) == id)
  }

  @Test func `comes from host and outboxes, whatever their order, where nothing is kept`() throws {
    let id = try SidecarState(nil).instance(outboxes: ["b", "a"])
    #expect(id == NameBasedUUID.serviceInstance("\(ThisProcess.hostName)\na\nb"))
    #expect(try SidecarState(nil).instance(outboxes: ["a", "b"]) == id)
    #expect(try SidecarState(nil).instance(outboxes: ["a"]) != id)
  }

  @Test func `is kept in the state directory, whatever is watched`() throws {
    let directory = try TemporaryDirectory()
    let state = directory.path + "/deep/down"
    let first = try SidecarState(state)
    let id = first.instance(outboxes: ["a"])
    #expect(id.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil)
    #expect(directory.read("deep/down/instance-id") == id)
    first.release()
    let second = try SidecarState(state)
    #expect(second.instance(outboxes: ["b", "c"]) == id)
    second.release()
  }

  @Test func `that an editor has saved survives its line break, and rubbish is replaced`() throws {
    let directory = try TemporaryDirectory()
    let id = "2765aa7b-cd5d-57dc-82bd-878dd0ed2439"
    try directory.write(id + "\n", to: "instance-id")
    let first = try SidecarState(directory.path)
    #expect(first.instance(outboxes: []) == id)
    first.release()
    for rubbish in ["", "x", String(repeating: "x", count: 36), String(repeating: "-", count: 36), id + "0"] {
      try directory.write(rubbish, to: "instance-id")
      let state = try SidecarState(directory.path)
      let replaced = state.instance(outboxes: [])
      state.release()
      #expect(replaced != id && replaced != rubbish && replaced.count == 36, "\(rubbish)")
      #expect(directory.read("instance-id") == replaced)
    }
  }

  @Test func `belongs to one sidecar at a time`() throws {
    let directory = try TemporaryDirectory()
    let first = try SidecarState(directory.path)
    let problem = #expect(throws: StateProblem.self) { try SidecarState(directory.path) }
    #expect(
      problem?.message
        == "another sidecar uses the state directory \(directory.path); give each its own --state-dir")
    first.release()
    let second = try SidecarState(directory.path)
    second.release()
  }

  @Test func `cannot be kept where there is no directory to be had`() throws {
    let directory = try TemporaryDirectory()
    try directory.write("", to: "file")
    let path = directory.path + "/file"
    let problem = #expect(throws: StateProblem.self) { try SidecarState(path) }
    #expect(problem?.message.hasPrefix("the state directory \(path) cannot be used: ") == true)
  }
}

@Suite struct `The identity of a single run` {
  @Test func `is the same from run to run, and never that of the sidecar`() throws {
    let directory = try TemporaryDirectory()
    var ids: Set<String> = []
    for _ in 0..<3 {
      let state = OnceState(directory.path)
      ids.insert(state.instance(outboxes: ["b", "a"]))
      state.release()
    }
    #expect(ids == [NameBasedUUID.serviceInstance("\(ThisProcess.hostName)\na\nb\nonce 0")])
    #expect(try !ids.contains(SidecarState(directory.path).instance(outboxes: ["a", "b"])))
    #expect(try !ids.contains(SidecarState(nil).instance(outboxes: ["a", "b"])))
  }

  @Test func `takes the lowest place that is free`() throws {
    let directory = try TemporaryDirectory()
    let runs = (0..<3).map { _ in OnceState(directory.path) }
    let ids = runs.map { $0.instance(outboxes: ["a"]) }
    #expect(ids == (0..<3).map { NameBasedUUID.serviceInstance("\(ThisProcess.hostName)\na\nonce \($0)") })
    runs[1].release()
    let next = OnceState(directory.path)
    #expect(next.instance(outboxes: ["a"]) == ids[1])
    for run in runs { run.release() }
    next.release()
  }

  @Test func `does not get in the sidecar's way`() throws {
    let directory = try TemporaryDirectory()
    let sidecar = try SidecarState(directory.path)
    let once = OnceState(directory.path)
    #expect(once.instance(outboxes: []) != sidecar.instance(outboxes: []))
    #expect(directory.read("instance-id") == sidecar.instance(outboxes: []))
    once.release()
    sidecar.release()
  }

  @Test func `is new each time where nothing can be kept`() throws {
    let directory = try TemporaryDirectory()
    try directory.write("", to: "file")
    for path in [nil, directory.path + "/file"] {
      #expect(OnceState(path).instance(outboxes: ["a"]) != OnceState(path).instance(outboxes: ["a"]))
    }
  }
}
