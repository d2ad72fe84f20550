package syncd

// Count is how many connections a director has to one real server, service or
// whatever the counts are kept by.
type Count struct {
	// Established is the kernel's count of active connections. The inactive
	// ones are left out: half-open ones are never synchronised (a SYN flood
	// would make every standby look cold), and closed ones are worth nothing.
	Established uint64
	// Young bounds how many of them are too young to have been sent: what
	// the service's connection counter grew by in the last few seconds, see
	// Delay. Only the active director's counts; 0 where it isn't known.
	Young uint64
}

// Warm tells which part of the active director's established connections this
// one knows, from 0 to 1, for the decision whether it may take over without
// need. Both sides count per real server what the dump of the table tells
// anyway; reading /proc/net/ip_vs_conn would be a line of text for each of
// 100,000 connections, under the lock of each bucket.
//
// It compares numbers, not connections: too many at one real server don't make
// up for too few at another, but entries here that are over there and lingering
// (a lost message of a close; up to the connection timeout) look like ones that
// are missing. Where the active director has none that are old enough there is
// nothing to lose, and the answer is 1.
func Warm[K comparable](own, active map[K]Count) float64 {
	var known, all uint64
	for k, a := range active {
		n := a.Established - min(a.Established, a.Young)
		all += n
		known += min(n, own[k].Established)
	}
	if all == 0 {
		return 1
	}
	return float64(known) / float64(all)
}
