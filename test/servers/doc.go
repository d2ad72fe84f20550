// Package servers holds the checks to real servers: Debian's own, each started
// on loopback with a configuration of its own, in the foreground and nowhere
// else. For each it must be true that
//
//   - a right configuration is healthy, over IPv4 and IPv6, in the clear and in TLS;
//   - a wrong login, a wrong answer, a wrong name in a certificate is not;
//   - a server that has stopped thinking (SIGSTOP: the kernel goes on accepting
//     connections for it) is unhealthy within the timeout, and healthy again
//     when it goes on;
//   - a server that is gone is unhealthy at once.
//
// The tests need their servers installed and root, so they have a build tag and
// a target: make test-servers.
package servers
