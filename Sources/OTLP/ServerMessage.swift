internal import COpenTelemetryProto
internal import CProtobufC

/// What a server's messages say, or nil where the bytes are not such a message.
enum ServerMessage {
  /// The `partial_success` of an ExportMetricsServiceResponse; (0, "") where there is none.
  static func partialSuccess(_ bytes: [UInt8]) -> (rejected: Int64, message: String)? {
    guard
      let response = unsafe opentelemetry__proto__collector__metrics__v1__export_metrics_service_response__unpack(
        nil, bytes.count, bytes)
    else { return nil }
    defer {
      unsafe opentelemetry__proto__collector__metrics__v1__export_metrics_service_response__free_unpacked(response, nil)
    }
    guard let partial = unsafe response.pointee.partial_success else { return (0, "") }
    return unsafe (partial.pointee.rejected_data_points, String(cString: partial.pointee.error_message))
  }

  /// The `message` of a google.rpc.Status.
  static func status(_ bytes: [UInt8]) -> String? {
    guard let status = unsafe google__rpc__status__unpack(nil, bytes.count, bytes) else { return nil }
    defer { unsafe google__rpc__status__free_unpacked(status, nil) }
    return unsafe String(cString: status.pointee.message)
  }

  /// The `retry_delay` of the first google.rpc.RetryInfo in the details of a google.rpc.Status; nil where there is none,
  /// or where it is no positive time.
  static func retryDelay(_ bytes: [UInt8]) -> Duration? {
    guard !bytes.isEmpty, let status = unsafe google__rpc__status__unpack(nil, bytes.count, bytes) else { return nil }
    defer { unsafe google__rpc__status__free_unpacked(status, nil) }
    for index in unsafe 0..<status.pointee.n_details {
      guard let detail = unsafe status.pointee.details[index],
        unsafe String(cString: detail.pointee.type_url).hasSuffix("/google.rpc.RetryInfo")
      else { continue }
      let value = unsafe detail.pointee.value
      guard let info = unsafe google__rpc__retry_info__unpack(nil, value.len, value.data) else { continue }
      defer { unsafe google__rpc__retry_info__free_unpacked(info, nil) }
      guard let delay = unsafe info.pointee.retry_delay else { continue }
      // A server's number may be any: a day is as good as a century here.
      let seconds = unsafe min(max(delay.pointee.seconds, -86_400), 86_400)
      let time = unsafe Duration.seconds(seconds) + .nanoseconds(Int64(delay.pointee.nanos))
      return time > .zero ? time : nil
    }
    return nil
  }
}
