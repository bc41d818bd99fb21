/// Holds what `--once --format json` prints to `docs/once.schema.json`, with a validator that is not ours.
package enum OnceReportSchema {
  /// The Python environment with the validator, as scripts/test makes it; nil where there is none.
  package static var python: String? { currentEnvironment()["OUTBOX_TEST_PYTHON"] }

  /// Why tests are skipped without it.
  package static let missing: String =
    "OUTBOX_TEST_PYTHON does not name a Python with fastjsonschema; scripts/test does"

  /// What is wrong with a document, in the validator's words; nothing where it passes. Keys that the schema does not know
  /// are wrong here, though readers have to bear them.
  package static func problem(with document: String) throws -> String {
    guard let python else { return missing }
    let result = try run(python, ["-c", script, ProjectFiles.root + "/docs/once.schema.json"], input: document)
    return result.output + result.error
  }

  private static let script = """
    import json, sys
    import fastjsonschema
    schema = json.load(open(sys.argv[1]))
    def close(node):
        if isinstance(node, dict):
            if "properties" in node:
                node["additionalProperties"] = False
            for value in node.values():
                close(value)
        elif isinstance(node, list):
            for value in node:
                close(value)
    close(schema)
    validate = fastjsonschema.compile(schema)
    try:
        validate(json.load(sys.stdin))
    except fastjsonschema.JsonSchemaException as error:
        print(error)
    """
}
