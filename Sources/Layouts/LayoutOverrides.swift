/// Why a table or column name of the user's could not be put into a layout.
package enum LayoutOverrideError: Error, Sendable, Hashable {
  /// The layout has nothing of that role; it has these.
  case unknownRole(String, known: [String])
  /// Several queues of the layout have a table of that role, and they cannot all be the same table; one of these says
  /// which is meant.
  case ambiguousRole(String, choices: [String])
}

/// The user's names for the tables and columns of a layout.
///
/// A role is written as in the layout. In a layout with several queues `suffix.role` means that queue alone; a role
/// without a suffix means the column in every queue that has it, and the table of the only queue that has it, or of
/// the first queue without a suffix. A name that the user gives has to be there, even where the layout could do without.
extension Layout {
  /// Every role that a table may be named for.
  package var tableRoles: [String] { roles { Array($0.tables.keys) } }

  /// Every role that a column may be named for.
  package var columnRoles: [String] { roles { Array($0.columns.keys) } }

  /// The layout with another name for one table: `table` or `schema.table`.
  package func naming(table role: String, _ name: String) throws(LayoutOverrideError) -> Layout {
    let places = places(of: role) { $0.tables[$1] != nil }
    if places.isEmpty { throw .unknownRole(role, known: tableRoles) }
    let unsuffixed = places.filter { queues[$0.queue].suffix == nil }
    let chosen = unsuffixed.isEmpty ? places : [unsuffixed[0]]
    if chosen.count > 1 {
      throw .ambiguousRole(
        role, choices: chosen.compactMap { place in queues[place.queue].suffix.map { "\($0).\(role)" } })
    }
    var layout = self
    for place in chosen { layout.queues[place.queue].tables[place.role] = TableName(name) }
    return layout
  }

  /// The layout with another name for one column. What the layout computed is then read from that column.
  package func naming(column role: String, _ name: String) throws(LayoutOverrideError) -> Layout {
    let places = places(of: role) { $0.columns[$1] != nil }
    if places.isEmpty { throw .unknownRole(role, known: columnRoles) }
    var layout = self
    for place in places {
      layout.queues[place.queue].columns[place.role]?.value = .column(name)
      layout.queues[place.queue].columns[place.role]?.isOptional = false
    }
    return layout
  }

  private struct Place {
    var queue: Int
    var role: String
  }

  private func places(of role: String, in has: (TableQueue, String) -> Bool) -> [Place] {
    queues.indices.compactMap { index in
      if has(queues[index], role) { return Place(queue: index, role: role) }
      guard let suffix = queues[index].suffix, role.hasPrefix(suffix + ".") else { return nil }
      let bare = String(role.dropFirst(suffix.count + 1))
      return has(queues[index], bare) ? Place(queue: index, role: bare) : nil
    }
  }

  private func roles(_ names: (TableQueue) -> [String]) -> [String] {
    var seen: Set<String> = []
    return queues.flatMap { names($0).sorted() }.filter { seen.insert($0).inserted }
  }
}
