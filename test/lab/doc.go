// Package lab boots a kernel that has IPVS, builds hosts in it, sends traffic and hurts things.
//
// Most build machines have no ip_vs in their kernel. So a test package that imports lab runs its whole test binary inside
// a lab: fresh namespaces on this kernel if it has ip_vs and we are root, else Debian's user-mode-linux, a kernel that is
// a process (apt-get install user-mode-linux; no root needed). It takes 2–3 s to boot, once for each test binary. A lab
// that does not boot is a failure, never a skip.
//
//	func TestMain(m *testing.M) { lab.Main(m) }
//
//	func TestFailover(t *testing.T) {
//		n := lab.New(t)
//		client := n.Host("client", "192.0.2.1/24", "2001:db8::1/64")
//		director := n.Host("director", "192.0.2.10/24", "192.0.2.100/32") // the VIP, too
//		var webs []*lab.Web
//		for i, name := range []string{"web1", "web2"} {
//			real := n.Host(name, fmt.Sprintf("192.0.2.%d/24", 11+i))
//			real.SetSysctl("net.ipv4.conf.all.arp_ignore", "1")
//			real.SetSysctl("net.ipv4.conf.all.arp_announce", "2")
//			real.AddAddr("lo", "192.0.2.100/32")
//			webs = append(webs, real.Web(":80", name)) // answers with its name
//		}
//		ipvsd := director.Start(os.Getenv("IPVSD"), "run", "-c", conf) // killed at the test's end
//		lab.Eventually(t, 5*time.Second, "both webs answer", func() bool {
//			a, _ := client.Get("http://192.0.2.100/", time.Second)
//			b, _ := client.Get("http://192.0.2.100/", time.Second)
//			return a != "" && b != "" && a != b
//		})
//		load := client.Load("http://192.0.2.100/") // a new connection every 20 ms
//		hold := client.Hold("tcp", "192.0.2.100:7") // one connection, if a lab.Echo listens there
//		time.Sleep(time.Second)
//		webs[0].Close() // or director.Cut(), ipvsd.Kill(), ipvsd.Signal(syscall.SIGSTOP), …
//		ok := load.WaitFor(func(r lab.Report) bool { return r.Servers["web2"].Count > 100 }, 10*time.Second)
//		r := load.Stop()
//		if !ok || r.Outage.Duration() > 3*time.Second {
//			t.Errorf("%v\n%v\nipvsd:\n%s", r, hold.Stop(), ipvsd.Output())
//		}
//	}
//
// # Running
//
// "go test ./test/scenario" just works; -run, -v, -count, -timeout, -coverprofile, -cpuprofile and GOCOVERDIR do, too.
// Lab kernels run side by side, so "go test ./..." may boot two at once. Any command:
//
//	go run ./test/lab/labexec bash -c 'uname -r; ipvsadm -Ln'
//
// Tests of any other package run inside by
//
//	go test -exec 'go run github.com/ipvsd/ipvsd/test/lab/labexec' ./director/ipvs
//
// A relative path will not do there: go test calls it from the package's folder.
//
// The environment variable IPVSD_LAB_WAY=uml or =direct forces one of the two ways. [Exec] is for programs: they call
// [MaybeInit] first thing in main.
//
// # What is different inside
//
//   - In user-mode-linux one sees the host's files, as root, through an overlay: whatever is written is gone afterwards,
//     but for [Job.Writable] and the folders of -test.coverprofile and its like. Golden files are not rewritten by
//     -update inside. /run, /dev/shm are empty; /tmp shows the host's. With direct, writes are real, but for /run.
//   - One processor, 100 Hz, system calls cost several microseconds: do not poll busily, and compare times within the lab
//     only. GOMAXPROCS is taken out of the environment. CGO_ENABLED=0 is fine but not needed. Addresses have
//     39 bits in user-mode-linux: binaries built with -race do not run, and the lab says so and fails.
//   - Programs must be built outside: the Go tool works inside, but slowly. Build in a "go test -exec" wrapper, a Makefile,
//     or keep the program in the test binary and start it as os.Args[0] with a variable that TestMain looks at before
//     lab.Main.
//   - Modules load by themselves when the kernel wants them (ipvsadm -s dh, iptables, sctp, ipip); modprobe works. A first
//     use costs up to a third of a second, so let it not fall into a time you measure.
//   - The lab kernel's nf_tables has no families ip and inet: nft is of no use, and iptables is the legacy one there.
//   - Starting a process costs some 50 ms, a netlink request or an HTTP request 1–3 ms. In-process servers and clients
//     ([Web], [Echo], [Load]) are cheap, ip(8) and ipvsadm(8) are not.
//   - About 200 new HTTP connections a second go through one lab, clients, director and servers together ([Load] makes 50);
//     far above, everything times out at once.
//   - The first connection through a fresh net pays for ARP or NDP; the first frames after a [Host.Heal] may be lost.
//   - The lab kernel (6.1) lacks the scheduler twos and FOU/GUE on the sending side of ip tunnels; conn_tab_bits is 12.
//   - After a loss of ARP requests the kernel asks again after 1 s: wait with [Eventually] after a Heal.
//   - All hosts share the file system, the process numbers and the sysctls outside of net.*. A daemon with a fixed path
//     that runs on two hosts wants [Host.Private]; [Host.Own] gives a host what is as good as its own disk.
//   - The hosts' IPv6 addresses need no duplicate address detection. Bridges do not snoop multicast.
package lab
