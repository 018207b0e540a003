// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Other programs: xl, where it alone knows how.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

static void __attribute__((noreturn)) become(const char *const argv[], int out)
{
	int null = open("/dev/null", O_RDONLY);

	if (out < 0 || (null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
			dup2(out, STDOUT_FILENO) >= 0))
		execvp(argv[0], (char *const *)argv);
	fprintf(stderr, "xlrbd: %s: %m\n", argv[0]);
	_exit(127);
}

static int exit_code(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int program_run(const char *const argv[])
{
	pid_t pid = fork();

	if (!pid)
		become(argv, -1);
	return pid < 0 ? -1 : exit_code(pid);
}

/* The child's pid, and where its stdout arrives; -1 if there is none. */
static pid_t start(const char *const argv[], int *out)
{
	int pipes[2];
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (!pid)
		become(argv, pipes[1]);
	close(pipes[1]);
	*out = pipes[0];
	if (pid < 0)
		close(pipes[0]);
	return pid;
}

char *program_start(const char *const argv[])
{
	char *said;
	int out;

	if (start(argv, &out) < 0)
		return NULL;
	said = read_all(out);
	close(out);
	return said;
}

int program_output(const char *const argv[], char **output_out)
{
	int out, status;
	pid_t pid;

	*output_out = NULL;
	pid = start(argv, &out);
	if (pid < 0)
		return -1;
	*output_out = read_all(out);
	close(out);
	status = exit_code(pid);
	return *output_out ? status : -1;
}
