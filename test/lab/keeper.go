package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// way is how the lab is made.
type way string

const (
	direct way = "direct" // fresh namespaces on this kernel
	uml    way = "uml"    // user-mode-linux
)

const umlPackage = "user-mode-linux"

var umlBinaries = []string{"/usr/bin/linux.uml", "/usr/bin/linux"}

const umlModules = "/usr/lib/uml/modules"

// order is the file job.json: what keeper and PID 1 need to know.
type order struct {
	Way      way
	UML      string // path of the lab kernel
	Argv     []string
	Dir      string
	Env      []string
	Mem      string
	Writable []string
}

func chooseWay() (way, error) {
	switch w := os.Getenv(envWay); w {
	case "":
	case string(direct), string(uml):
		return way(w), nil
	default:
		return "", fmt.Errorf("%s=%s: want uml or direct", envWay, w)
	}
	if os.Geteuid() == 0 && kernelHasIPVS() {
		return direct, nil
	}
	return uml, nil
}

// prepare fills the folder of the lab.
func prepare(dir string, way way, job *Job) error {
	o := order{Way: way, Argv: job.Argv, Dir: job.Dir, Mem: job.Mem, Writable: job.Writable}
	path, err := exec.LookPath(job.Argv[0])
	if err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	o.Argv = append([]string{path}, job.Argv[1:]...)
	if way == uml && raceDetector {
		return errors.New("a binary with the race detector cannot run in user-mode-linux: its shadow memory lies beyond " +
			"the 39 bits of an address there; run these tests without -race")
	}
	if way == uml {
		for _, b := range umlBinaries {
			if fileExists(b) {
				o.UML = b
				break
			}
		}
		if o.UML == "" || !fileExists(umlModules) {
			return fmt.Errorf("this kernel has no usable ip_vs and the lab kernel is not installed (no %s): "+
				"apt-get install %s", umlBinaries[0], umlPackage)
		}
	}
	o.Env = jobEnv(job.Env, way)
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	// A link, because the kernel's command line has no good quoting and the way to a test binary may have any name.
	if err := os.Symlink(exe, filepath.Join(dir, "init")); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "root"), 0o755); err != nil {
		return err
	}
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "job.json"), b, 0o600)
}

// jobEnv is the caller's environment with what must differ inside.
func jobEnv(env []string, way way) []string {
	var out []string
	path := os.Getenv("PATH")
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		switch {
		case k == "PATH":
			path = v
			continue
		case k == "GOMAXPROCS" && way == uml: // it counts the host's processors; the lab kernel has one
			continue
		case k == envInside || k == envKeeper || k == envDir:
			continue
		}
		out = append(out, kv)
	}
	for _, d := range []string{"/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if !strings.Contains(":"+path+":", ":"+d+":") {
			path += ":" + d
		}
	}
	return append(out, "PATH="+strings.TrimPrefix(path, ":"), envInside+"="+string(way))
}

// keeperMain is a process between the caller and the lab. It lives in a session of its own and holds the lab on a leash:
// its standard input ends when the caller closes it or dies, however it dies. Then, as after the lab's own end, it kills
// all that is left of the lab and removes the folder. Its standard output is the result that PID 1 wrote.
func keeperMain(dir string) {
	os.Exit(func() int {
		defer os.RemoveAll(dir)
		if err := keepLab(dir); err != nil {
			_ = json.NewEncoder(os.Stdout).Encode(result{Err: err.Error()})
			return 0
		}
		b, err := os.ReadFile(filepath.Join(dir, "result.json"))
		if err == nil {
			_, _ = os.Stdout.Write(b)
		}
		return 0
	}())
}

func keepLab(dir string) error {
	// The lab kernel's helpers are ptraced children; when it is killed they become ours to reap, not the host's.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become subreaper: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "job.json"))
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(b, &o); err != nil {
		return fmt.Errorf("read job.json: %v", err)
	}
	stdout, stderr, console := os.NewFile(3, "stdout"), os.NewFile(4, "stderr"), os.NewFile(5, "console")
	var cmd *exec.Cmd
	if o.Way == uml {
		cmd = umlCommand(dir, o)
		cmd.Stdout, cmd.Stderr = console, console
		cmd.ExtraFiles = []*os.File{stdout, stderr}
	} else {
		cmd = exec.Command(filepath.Join(dir, "init"))
		cmd.Env = []string{envDir + "=" + dir, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
		cmd.Stdout, cmd.Stderr = stdout, stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Setpgid:    true,
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS,
		}
	}
	cmd.Dir = "/"
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the lab: %v", err)
	}
	stdout.Close()
	stderr.Close()
	console.Close()
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	leash := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(leash)
	}()
	select {
	case <-ended:
	case <-leash:
	}
	killGroup(cmd.Process.Pid)
	<-ended
	reap()
	return nil
}

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// reap waits for what was orphaned to us, for a second at most.
func reap() {
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		switch {
		case err == syscall.ECHILD:
			return
		case pid <= 0:
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func umlCommand(dir string, o order) *exec.Cmd {
	cmd := exec.Command(o.UML,
		"mem="+o.Mem, "umid=lab", "uml_dir="+dir,
		"root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", "quiet",
		"lpj=36000000", // only for short delays of drivers; measuring it takes 0.2 s
		"con=null", "con0=null,fd:1", "ssl=null", "ssl0=null,fd:3", "ssl1=null,fd:4",
		"init="+filepath.Join(dir, "init"), envDir+"="+dir)
	home := "/tmp"
	if u, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil {
		home = u.HomeDir
	}
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + memDir(dir, o.Mem), "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// memDir is where the lab kernel keeps its memory: a file that is gone from the folder at once. In a container /dev/shm
// is often 64 MB; the kernel would die of SIGBUS there.
func memDir(dir, mem string) string {
	var st unix.Statfs_t
	const shm = "/dev/shm"
	if unix.Statfs(shm, &st) == nil && unix.Access(shm, unix.W_OK) == nil &&
		st.Flags&unix.ST_NOEXEC == 0 && st.Bavail*uint64(st.Bsize) > memBytes(mem) {
		return shm
	}
	return dir
}

func memBytes(s string) uint64 {
	unit := map[byte]uint64{'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}[strings.ToUpper(s)[len(s)-1]]
	if unit == 0 {
		unit = 1
	}
	n, _ := strconv.ParseUint(strings.TrimRight(strings.ToUpper(s), "KMGB"), 10, 64)
	return n * unit
}

// kernelHasIPVS asks the running kernel for the IPVS generic netlink family, after a try to load it.
func kernelHasIPVS() bool {
	if fileExists("/proc/net/ip_vs") {
		return true
	}
	if mp, err := exec.LookPath("/sbin/modprobe"); err == nil {
		_ = exec.Command(mp, "-q", "ip_vs").Run()
	}
	return fileExists("/proc/net/ip_vs")
}
