// Package servers runs real Redis and Valkey servers on loopback, for tests and
// measurements: Debian's redis-server, and Valkey from the backports of Debian
// 12. They are unpacked into a cache folder, never installed; the machine's own
// sources of packages are left as they are.
package servers
