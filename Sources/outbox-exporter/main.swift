print("outbox-exporter")
