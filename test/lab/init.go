package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// labRun marks the inside of a lab and holds what its kernel calls.
const labRun = "/run/ipvsd-lab"

// initMain is PID 1 of the lab: it lays out the file tree, runs the one job, writes its result and ends the kernel.
func initMain(dir string) {
	res := result{Exit: 2}
	o, err := readOrder(dir)
	if err == nil {
		err = layOut(dir, o)
	}
	if err == nil {
		res.Exit, err = runJob(dir, o)
	}
	if err != nil {
		res.Err = err.Error()
		fmt.Fprintf(os.Stderr, "lab: %v\n", err)
	}
	if err := writeResult(dir, res); err != nil {
		fmt.Fprintf(os.Stderr, "lab: %v\n", err)
	}
	if o.Way == direct {
		os.Exit(0) // the PID namespace takes the rest along
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func readOrder(dir string) (o order, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "job.json"))
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return o, fmt.Errorf("read job.json: %v", err)
	}
	return o, nil
}

func writeResult(dir string, res result) error {
	b, err := json.Marshal(res)
	if err != nil {
		return err
	}
	// Written beside and renamed: a half-written result must not count.
	tmp := filepath.Join(dir, "result.tmp")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "result.json"))
}

func layOut(dir string, o order) error {
	if o.Way == direct {
		return layOutDirect()
	}
	return layOutUML(dir, o)
}

// layOutDirect makes /proc, /sys and /run those of the new namespaces; the rest of the file tree is the host's own.
func layOutDirect() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %v", err)
	}
	return mountAll("/", []mount{
		{"proc", "/proc", "proc", 0, ""},
		{"sysfs", "/sys", "sysfs", 0, ""},
		{"tmpfs", "/run", "tmpfs", 0, "mode=755"},
	})
}

type mount struct {
	source, target, fstype string
	flags                  uintptr
	data                   string
}

func mountAll(root string, list []mount) error {
	for _, m := range list {
		target := filepath.Join(root, m.target)
		_ = os.MkdirAll(target, 0o755)
		if err := unix.Mount(m.source, target, m.fstype, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s on %s: %v", m.fstype, target, err)
		}
	}
	return nil
}

// layOutUML puts a tmpfs over the host's files, so that nothing done inside changes them, and moves there.
func layOutUML(dir string, o order) error {
	if err := mountAll("/", []mount{{"proc", "/proc", "proc", 0, ""}}); err != nil {
		return err
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("uname: %v", err)
	}
	release := unix.ByteSliceToString(u.Release[:])
	mods := modules{dir: filepath.Join(umlModules, release)}
	if err := mods.load("overlay"); err != nil {
		return err
	}
	top := filepath.Join(dir, "root")
	if err := mountAll("/", []mount{{"tmpfs", top, "tmpfs", 0, "mode=755"}}); err != nil {
		return err
	}
	for _, d := range []string{"upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(top, d), 0o755); err != nil {
			return err
		}
	}
	root := filepath.Join(top, "merged")
	list := []mount{
		{"overlay", "", "overlay", 0, fmt.Sprintf("lowerdir=/,upperdir=%s/upper,workdir=%s/work", top, top)},
		{"proc", "/proc", "proc", 0, ""},
		{"sysfs", "/sys", "sysfs", 0, ""},
		{"devtmpfs", "/dev", "devtmpfs", 0, "mode=755"},
		{"devpts", "/dev/pts", "devpts", 0, "mode=620,ptmxmode=666"},
		{"tmpfs", "/dev/shm", "tmpfs", 0, ""},
		{"tmpfs", "/run", "tmpfs", 0, "mode=755"},
		{umlModules + "/" + release, "/usr/lib/modules/" + release, "", unix.MS_BIND, ""},
		{"none", dir, "hostfs", 0, dir},
	}
	for _, d := range o.Writable {
		list = append(list, mount{"none", d, "hostfs", 0, d})
	}
	if err := mountAll(root, list); err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the new root: %v", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("chroot: %v", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return settleUML(mods)
}

// settleUML does what a distribution's boot would have done.
func settleUML(mods modules) error {
	if err := os.MkdirAll(labRun, 0o755); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	mp := filepath.Join(labRun, "modprobe")
	if err := os.Symlink(exe, mp); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/kernel/modprobe", []byte(mp), 0); err != nil {
		return err
	}
	if !fileExists("/usr/sbin/modprobe") { // kmod is not installed
		_ = os.Symlink(mp, "/usr/sbin/modprobe")
	}
	_ = os.Symlink("/proc/self/fd", "/dev/fd")
	_ = os.Symlink("/proc/self/fd/0", "/dev/stdin")
	_ = os.Symlink("/proc/self/fd/1", "/dev/stdout")
	_ = os.Symlink("/proc/self/fd/2", "/dev/stderr")
	_ = os.MkdirAll("/run/lock", 0o1777)
	_ = unix.Sethostname([]byte("lab"))
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 16, Max: 1 << 20})
	legacyIPTables()
	return mods.load(preload...)
}

// preload is what nearly every test needs. The kernel would ask for them one by one, a third of a second each, most of it
// for starting modprobe.
var preload = []string{
	"ipv6", "veth", "bridge", "sch_netem", "ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_sh", "ip_vs_mh",
}

// legacyIPTables makes iptables the old one, as Debian's alternatives do: the lab kernel's nf_tables was built without
// the families ip and inet.
func legacyIPTables() {
	for _, name := range []string{"iptables", "ip6tables"} {
		for _, suffix := range []string{"", "-save", "-restore"} {
			legacy, link := "/usr/sbin/"+name+"-legacy"+suffix, "/etc/alternatives/"+name+suffix
			if fileExists(legacy) && os.Remove(link) == nil {
				_ = os.Symlink(legacy, link)
			}
		}
	}
}

// runJob runs the job as a child and reaps whatever is orphaned, as PID 1 must.
func runJob(dir string, o order) (int, error) {
	files := []uintptr{0, 1, 2}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 2, err
	}
	files[0] = null.Fd()
	var lines []int
	if o.Way == uml {
		for i, name := range []string{"/dev/ttyS0", "/dev/ttyS1"} {
			fd, err := openRaw(name)
			if err != nil {
				return 2, err
			}
			files[1+i] = uintptr(fd)
			lines = append(lines, fd)
		}
	}
	if err := loopbackUp(); err != nil {
		return 2, err
	}
	if err := os.WriteFile(filepath.Join(dir, "started"), nil, 0o600); err != nil {
		return 2, err
	}
	pid, err := syscall.ForkExec(o.Argv[0], o.Argv, &syscall.ProcAttr{
		Dir: o.Dir, Env: o.Env, Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 2, fmt.Errorf("start %s: %v", strings.Join(o.Argv, " "), err)
	}
	status := 2
	for {
		var ws syscall.WaitStatus
		p, err := syscall.Wait4(-1, &ws, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 2, fmt.Errorf("wait for the job: %v", err)
		}
		if p == pid {
			status = waitStatus(ws)
			break
		}
	}
	_ = syscall.Kill(-1, syscall.SIGKILL)
	for _, fd := range lines {
		_ = unix.IoctlSetInt(fd, unix.TCSBRK, 1) // tcdrain: the last line counts
	}
	return status, nil
}

// openRaw opens a serial line that carries bytes as they are.
func openRaw(name string) (int, error) {
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %v", name, err)
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return -1, fmt.Errorf("settings of %s: %v", name, err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag |= unix.CS8 | unix.CREAD | unix.CLOCAL
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return -1, fmt.Errorf("make %s raw: %v", name, err)
	}
	return fd, nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("set lo up: %v", err)
	}
	return nil
}
