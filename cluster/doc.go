// Package cluster is one director of several: it connects the election
// (cluster/core) with its messages (cluster/gossip), its addresses and the
// wire (cluster/vip) and the witnesses. It decides nothing itself.
//
// # Who owns what
//
// The goroutine in Node.Run owns the core, what is held and what is asked; all
// others leave it a message. It steps the core for each event, first with all
// that has been received, then with the deadline. To take an address away it
// waits for the kernel, at most a second; nothing else holds it up: log lines
// have a goroutine of their own, hooks are somebody else's, and Snapshot reads an immutable copy.
// One goroutine beside it reads interfaces and routes when they change.
//
// # What an end means
//
// Stop hands over and says goodbye. When only the context of Run ends, as for a
// restart, the addresses stay until their lifetime is over, and the next process
// adopts them.
package cluster
