// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Other programs: xl, where it alone knows how.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xlrbd.h"

static char *read_all(int fd)
{
	char *text = NULL, *more;
	size_t length = 0;
	ssize_t n;

	do {
		more = realloc(text, length + 4097);
		if (!more)
			break;
		text = more;
		n = read(fd, text + length, 4096);
		if (n > 0)
			length += n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (!more || n < 0) {
		free(text);
		return NULL;
	}
	text[length] = '\0';
	return text;
}

/* What is not given, -1, is as ours. */
static void __attribute__((noreturn)) become(const char *const argv[], int in,
					     int out)
{
	/* What we ignore, it need not. */
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	if ((in < 0 || dup2(in, STDIN_FILENO) >= 0) &&
	    (out < 0 || dup2(out, STDOUT_FILENO) >= 0))
		execvp(argv[0], (char *const *)argv);
	fprintf(stderr, "xlrbd: %s: %m\n", argv[0]);
	_exit(127);
}

int program_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void program_end(pid_t pid, int64_t patience_ms)
{
	int64_t end = now_ms() + patience_ms;
	siginfo_t info = { .si_pid = 0 };

	/* Left to be reaped below. */
	while (!waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) &&
	       !info.si_pid) {
		if (now_ms() >= end) {
			kill(pid, SIGTERM);
			break;
		}
		poll(NULL, 0, 20);
	}
	program_wait(pid);
}

int program_run(const char *const argv[])
{
	pid_t pid = fork();

	if (!pid)
		become(argv, open("/dev/null", O_RDONLY), -1);
	return pid < 0 ? -1 : program_wait(pid);
}

/*
 * The child's pid, and where its stdout arrives; -1 if there is none.  Its
 * stderr is @err, or ours if that is -1.
 */
static pid_t start(const char *const argv[], int err, int *out)
{
	int pipes[2];
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (!pid) {
		if (err >= 0)
			dup2(err, STDERR_FILENO);
		become(argv, open("/dev/null", O_RDONLY), pipes[1]);
	}
	close(pipes[1]);
	*out = pipes[0];
	if (pid < 0)
		close(pipes[0]);
	return pid;
}

pid_t program_open(const char *const argv[], int *in, int *out)
{
	int to[2], from[2];
	pid_t pid;

	if (pipe2(to, O_CLOEXEC) < 0)
		return -1;
	if (pipe2(from, O_CLOEXEC) < 0) {
		close(to[0]);
		close(to[1]);
		return -1;
	}
	pid = fork();
	if (!pid)
		become(argv, to[0], from[1]);
	close(to[0]);
	close(from[1]);
	*in = to[1];
	*out = from[0];
	if (pid < 0) {
		close(to[1]);
		close(from[0]);
	}
	return pid;
}

char *program_start(const char *const argv[])
{
	char *said;
	int out;

	if (start(argv, -1, &out) < 0)
		return NULL;
	said = read_all(out);
	close(out);
	return said;
}

/* A file takes any length of stderr while stdout is read. */
int program_output_both(const char *const argv[], char **out, char **err)
{
	int file = memfd_create("stderr", MFD_CLOEXEC), said, status = -1;
	pid_t pid;

	*out = *err = NULL;
	if (file < 0)
		return -1;
	pid = start(argv, file, &said);
	if (pid >= 0) {
		*out = read_all(said);
		close(said);
		status = program_wait(pid);
		if (lseek(file, 0, SEEK_SET) == 0)
			*err = read_all(file);
	}
	close(file);
	return *out && *err ? status : -1;
}

int program_output(const char *const argv[], char **output_out)
{
	int out, status;
	pid_t pid;

	*output_out = NULL;
	pid = start(argv, -1, &out);
	if (pid < 0)
		return -1;
	*output_out = read_all(out);
	close(out);
	status = program_wait(pid);
	return *output_out ? status : -1;
}
