import Glibc

/// Tells the thread that asks from all others that are alive.
package func threadIdentity() -> UInt { UInt(pthread_self()) }
