import Exporter
import Layouts
import Testing

/// What tells the samples of one source from those of another.
@Suite struct OutboxSourceTests {
  @Test func `the digests of the built-in layouts are written down as they are`() {
    for layout in LayoutCatalog.builtIn { #expect(layout.knownDigest == layout.schemaDigest, "\(layout.name)") }
  }

  @Test func `a layout that reads anything else has another digest`() throws {
    let digests = Set(LayoutCatalog.builtIn.map(\.schemaDigest))
    #expect(digests.count == LayoutCatalog.builtIn.count)
    var changed = Layout.kaireon
    changed.queues[0].selections[0].rows += " AND true"
    #expect(changed.knownDigest == nil && changed.schemaDigest != Layout.kaireon.schemaDigest)
  }
}
