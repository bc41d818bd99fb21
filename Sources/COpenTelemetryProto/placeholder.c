#include "COpenTelemetryProto.h"
