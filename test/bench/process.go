package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tlsratchet/test/mtatest"
)

// process is a milter in a process of its own.
type process struct {
	name   string
	socket string
	cmd    *exec.Cmd
	stdin  io.Closer
	errs   *tail
	ended  chan struct{}
	err    error // of the end, once ended is closed
}

// startProcess starts a program; it ends with ctx at the latest.
func startProcess(ctx context.Context, name, socket string, argv ...string) (*process, error) {
	p := &process{name: name, socket: socket, errs: &tail{}, ended: make(chan struct{})}
	// A copy of its own: the code of the do-nothing ones is the load generator's too, which
	// would have it in the processor's caches.
	program := filepath.Join(filepath.Dir(socket), "program")
	if err := copyFile(program, argv[0]); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.cmd = exec.CommandContext(ctx, program, argv[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = p.errs, p.errs
	// What tlsratchet does beside mail is left out: there may be two of it.
	p.cmd.Env = append(os.Environ(), "TLSRATCHET_STATUS_LISTEN=off", "TLSRATCHET_SELFCHECK_ADDRESS=off")
	stdin, err := p.cmd.StdinPipe() // its end is the end of those that watch it
	if err == nil {
		p.stdin = stdin
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// answers waits until it takes connections, a milter until it has taken a
// negotiation.
func (p *process) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		err := p.dial(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended: %w\n%s", p.name, p.err, p.errs)
		case <-ctx.Done():
			return fmt.Errorf("%s doesn't answer: %w\n%s", p.name, err, p.errs)
		case <-time.After(time.Millisecond):
		}
	}
}

func (p *process) dial(ctx context.Context) error {
	if filepath.Base(p.socket) == policySocket {
		c, err := net.Dial("unix", p.socket)
		if err != nil {
			return err
		}
		return c.Close()
	}
	s, err := mtatest.Dial(ctx, "unix", p.socket, mtatest.Options{})
	if err != nil {
		return err
	}
	return s.Close()
}

// stop ends the process. The error has its output if it had not run until then.
func (p *process) stop() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended early: %w\n%s", p.name, p.err, p.errs)
	default:
	}
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.stdin.Close() // it may be closed already: the process is quick
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		err = errors.Join(err, fmt.Errorf("%s doesn't end by itself", p.name), p.cmd.Process.Kill())
		<-p.ended
	}
	return err
}

// cpu is what the process has worked so far, to the nanosecond; 0 without one.
func (p *process) cpu() time.Duration {
	if p == nil {
		return 0
	}
	return processClock(p.cmd.Process.Pid)
}

// processClock is the processor time of a process, its ended threads included
// (clock_getcpuclockid(3)); 0 if there is none.
func processClock(pid int) time.Duration {
	const scheduled = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|scheduled, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// treeCPU is what a process, its children and those that have ended have worked
// so far. Of those that have ended the kernel knows no more than hundredths of a
// second.
func treeCPU(parent int) time.Duration {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", parent))
	fields := statFields(string(stat))
	if len(fields) < 15 {
		return 0 // it has ended
	}
	sum := processClock(parent) + ticks(fields[13:15])
	for _, pid := range childrenOf(parent) {
		sum += processClock(pid)
	}
	return sum
}

// treeSwitches is how often the kernel has put threads of a process and of its
// children on a processor so far (the third field of schedstat in proc(5)); threads
// that have ended are left out.
func treeSwitches(parent int) (n int) {
	for _, pid := range append(childrenOf(parent), parent) {
		n += switches(pid)
	}
	return n
}

func switches(pid int) (sum int) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, file := range threads {
		stat, _ := os.ReadFile(file) // of one that ended, nothing
		if fields := strings.Fields(string(stat)); len(fields) == 3 {
			n, _ := strconv.Atoi(fields[2])
			sum += n
		}
	}
	return sum
}

// childrenOf returns the processes that a process has started and that have not ended.
func childrenOf(parent int) (all []int) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, file := range threads {
		children, _ := os.ReadFile(file) // of one that ended, nothing
		for child := range strings.FieldsSeq(string(children)) {
			pid, _ := strconv.Atoi(child)
			all = append(all, pid)
		}
	}
	return all
}

// statFields are those of a line of proc_pid_stat(5) after the name in
// brackets, which may hold anything: the state is the first.
func statFields(stat string) []string {
	return strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
}

// ticks adds up times in units of USER_HZ, which is the same on all of Linux's
// machines that Go runs on; 0 if one is no number.
func ticks(fields []string) time.Duration {
	const tick = 10 * time.Millisecond
	var sum time.Duration
	for _, field := range fields {
		n, err := strconv.ParseInt(field, 10, 63)
		if err != nil {
			return 0
		}
		sum += time.Duration(n) * tick
	}
	return sum
}

// tail keeps what a process says, the last of it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const maxTail = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-maxTail):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}

// startServe starts a tlsratchet in dir. Nothing is exempt, loopback neither;
// more are lines for its configuration.
func startServe(ctx context.Context, binary, dir, history string, more ...string) (*process, error) {
	socket := filepath.Join(dir, serveSocket)
	config := filepath.Join(dir, "tlsratchet.toml")
	lines := append([]string{"exempt_networks = []", `log.level = "warn"`, "limits.connections = 1000"}, more...)
	if err := writeFile(config, strings.Join(lines, "\n")); err != nil {
		return nil, err
	}
	return startProcess(ctx, "tlsratchet", socket,
		binary, "serve", "--config", config, "--listen", "unix:"+socket, "--history", history)
}

const serveSocket = "milter.sock"

// taught starts a tlsratchet with a history of steady peers, with the policy service
// or without.
func taught(binary string, policy bool) func(context.Context, string, []client) (*process, error) {
	return func(ctx context.Context, dir string, peers []client) (*process, error) {
		history := filepath.Join(dir, "history.db")
		if err := teach(ctx, history, peers, time.Now()); err != nil {
			return nil, err
		}
		var more []string
		if policy {
			more = append(more, fmt.Sprintf("policy_service.listen = [%q]", "unix:"+filepath.Join(dir, policySocket)))
		}
		return startServe(ctx, binary, dir, history, more...)
	}
}
