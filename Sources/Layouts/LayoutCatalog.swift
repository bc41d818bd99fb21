/// The layouts that are built in.
package enum LayoutCatalog {
  /// All of them, in the order in which `outbox-exporter layouts` lists them.
  package static let builtIn: [Layout] = [
    .praisonAI, .openClaw, .openClawFiles, .openClawSessionFiles, .relaycast, .kaireon, .aiHummer,
  ]
}
