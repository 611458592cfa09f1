package packaging_test

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"
)

const container = root + "/contrib/container/"

// service is what the example says of one container.
type service struct {
	Build struct {
		Context, Dockerfile string
	}
	User, Image string
	Command     []string
	Environment map[string]string
	Volumes     []string
	DependsOn   []string `yaml:"depends_on"`
	ReadOnly    bool     `yaml:"read_only"`
}

// mounted returns where a named volume is mounted.
func (s service) mounted(volume string) string {
	for _, v := range s.Volumes {
		if name, at, _ := strings.Cut(v, ":"); name == volume {
			return at
		}
	}
	return ""
}

func composed(t *testing.T) (ours, postfix service) {
	t.Helper()
	text, err := os.ReadFile(container + "compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]service
		Volumes  map[string]any
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for name, s := range file.Services {
		for _, v := range s.Volumes {
			volume, _, _ := strings.Cut(v, ":")
			if _, ok := file.Volumes[volume]; !ok {
				t.Errorf("%s: no volume %s", name, volume)
			}
		}
	}
	return file.Services["tlsratchet"], file.Services["postfix"]
}

// The example builds this source, and the socket is where Postfix's line has it.
func TestCompose(t *testing.T) {
	ours, postfix := composed(t)
	if dir := filepath.Join(container, ours.Build.Context); filepath.Clean(dir) != filepath.Clean(root) {
		t.Errorf("built in %s", dir)
	}
	if _, err := os.Stat(filepath.Join(root, ours.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
	socket, ok := strings.CutPrefix(ours.Command[len(ours.Command)-1], "unix:"+ours.mounted("socket")+"/")
	line, err := os.ReadFile(root + "/contrib/postfix/main.cf.tlsratchet")
	if err != nil || !ok {
		t.Fatalf("%s, %v", ours.Command, err)
	}
	inQueue, ok := strings.CutPrefix(path.Join(postfix.mounted("socket"), socket), "/var/spool/postfix/")
	if !ok || !bytes.Contains(line, []byte("{ unix:"+inQueue+",")) {
		t.Errorf("main.cf.tlsratchet does not name %s", inQueue)
	}
	// An empty volume has the owner of the folder in the image that is first there.
	if len(postfix.DependsOn) != 1 || postfix.DependsOn[0] != "tlsratchet" {
		t.Errorf("Postfix's container may be first: %q", postfix.DependsOn)
	}
}

// words returns the words of an instruction in its JSON form.
func words(t *testing.T, instruction string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(container + "Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, instruction+" ") {
			if err := json.Unmarshal([]byte(line[strings.Index(line, "["):]), &all); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// image makes the image's file system, as the Containerfile does.
func image(t *testing.T) string {
	t.Helper()
	out := t.TempDir()
	run(t, root, "make", "install", "PREFIX=/usr", "DESTDIR="+out, "BUILDVCS=false", "CGO_ENABLED=0") // the race detector's tests set 1
	for _, dir := range []string{"var/lib/tlsratchet", "socket", "etc/tlsratchet"} {
		if err := os.MkdirAll(filepath.Join(out, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"var/lib/tlsratchet", "socket"} {
		if err := os.Chown(filepath.Join(out, dir), 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The daemon of the example runs from a root that it can't write, in a chroot that
// has nothing else, and the health check's command reports on it. It runs as root.
func TestContainer(t *testing.T) {
	const group = "12345" // Postfix's, in its image
	ours, _ := composed(t)
	user := strings.NewReplacer("${GROUP:?the group postfix in the Postfix image}", group).Replace(ours.User)
	out := image(t)
	if f, err := elf.Open(out + "/usr/sbin/tlsratchet"); err != nil || len(f.Progs) == 0 {
		t.Fatal(err)
	} else if libraries, err := f.ImportedLibraries(); len(libraries) > 0 || err != nil {
		t.Errorf("not static: %q, %v", libraries, err)
	}
	inside := func(words ...string) *exec.Cmd {
		mounts := `mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"
			for d in /var/lib/tlsratchet /socket; do mount --bind "$1$d" "$1$d"; mount -o remount,bind,rw "$1$d"; done
			exec chroot --groups= --userspec="$2" "$1" "${@:3}"`
		cmd := exec.Command("unshare", append([]string{"-m", "bash", "-ec", mounts, "-", out, user}, words...)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		for name, value := range ours.Environment {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		return cmd
	}
	if health := inside(words(t, "HEALTHCHECK")...); health.Run() == nil {
		t.Error("healthy without a daemon")
	}
	var log bytes.Buffer
	daemon := inside(append(words(t, "ENTRYPOINT"), ours.Command...)...)
	daemon.Stderr = &log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	var last []byte
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var err error
		if last, err = inside(words(t, "HEALTHCHECK")...).CombinedOutput(); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Errorf("never healthy: %s", last)
			break
		}
	}
	info, err := os.Stat(out + strings.TrimPrefix(ours.Command[len(ours.Command)-1], "unix:"))
	if err != nil {
		t.Error(err)
	} else if owner := info.Sys().(*syscall.Stat_t); info.Mode() != fs.ModeSocket|0o660 || owner.Uid != 65534 || owner.Gid != 12345 {
		t.Errorf("the socket: %s, %d:%d", info.Mode(), owner.Uid, owner.Gid)
	}
	daemon.Process.Signal(syscall.SIGSTOP)
	if err := unix.Waitid(unix.P_PID, daemon.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	hung := inside(words(t, "HEALTHCHECK")...)
	if err := hung.Start(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(5*time.Second, func() { hung.Process.Kill() }) // as the engine does
	if hung.Wait() == nil {
		t.Error("healthy while the daemon hangs")
	}
	daemon.Process.Signal(syscall.SIGCONT)
	daemon.Process.Signal(syscall.SIGTERM)
	if err := daemon.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &log)
	}
	t.Logf("%s", &log)
}
