// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd check - what is wrong with this installation, and how to mend it
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xlrbd.h"

static const struct column columns[] = {
	{ "CHECK", "check" }, { "RESULT", "result" }, { "DETAIL", "detail" },
};

static void add_row(void *data, const char *what, bool ok, const char *detail)
{
	json_t *row = json_object();

	set_text(row, "check", what);
	set_text(row, "result", ok ? "ok" : "trouble");
	set_text(row, "detail", detail);
	json_array_append_new(data, row);
}

/* What `PROGRAM --version` says, in @out; false if it cannot be run. */
static bool version_of(const char *const argv[], char *out, size_t size)
{
	char *text;
	int status = program_output(argv, &text);

	snprintf(out, size, "%.*s", text ? (int)strcspn(text, "\n") : 0,
		 text ? text : "");
	free(text);
	return !status;
}

/* The last word of "block-rbd 0.1.0". */
static bool is_our_version(const char *text)
{
	const char *word = strrchr(text, ' ');

	return word && !strcmp(word + 1, xlrbd_version());
}

static void check_script(json_t *rows)
{
	const char *argv[] = { XEN_SCRIPT_DIR "/block-rbd", "--version", NULL };
	char version[64], detail[256];
	bool ok = false;

	if (access(argv[0], X_OK) < 0)
		snprintf(detail, sizeof(detail),
			 "%s: %s; run `make install` again, or link it there",
			 argv[0], strerror(errno));
	else if (!version_of(argv, version, sizeof(version)))
		snprintf(detail, sizeof(detail), "%s does not run", argv[0]);
	else if (!is_our_version(version))
		snprintf(detail, sizeof(detail),
			 "%s is %s, but xlrbd is %s: install both from one source",
			 argv[0], version, xlrbd_version());
	else
		ok = snprintf(detail, sizeof(detail), "%s, %s", argv[0],
			      version) > 0;
	add_row(rows, "script for xl", ok, detail);
}

static void check_xen(json_t *rows)
{
	char detail[128];
	bool ok = xen_version(detail, sizeof(detail));

	add_row(rows, "Xen", ok, ok ? detail :
		"no Xen host, or not run as root in domain 0");
}

static bool file_mentions(const char *path, const char *word)
{
	char *text = xlcfg_read(path);
	bool mentions = text && strstr(text, word);

	free(text);
	return mentions;
}

/*
 * LVM in domain 0 opens what looks like a volume group, guests' disks too, and
 * then they cannot be unmapped.  With a list of its devices it looks at no
 * others (lvmdevices(8)).
 */
static void check_lvm(json_t *rows)
{
	static const char conf[] = "/etc/lvm/lvm.conf";
	bool ok = access(conf, R_OK) < 0 ||
		  !access("/etc/lvm/devices/system.devices", F_OK) ||
		  file_mentions(conf, "/dev/rbd") || file_mentions(conf, "rbd|");

	add_row(rows, "LVM", ok, ok ? "leaves guests' disks alone" :
		"/etc/lvm/lvm.conf lets LVM open guests' disks; say there: devices { global_filter = [ \"r|^/dev/rbd.*|\" ] }");
}

static void check_host(void *data, const char *name, const char *address)
{
	const char *argv[] = {
		"ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10",
		address, "xlrbd", "--version", NULL
	};
	char version[64], detail[256], what[128];
	bool ok = version_of(argv, version, sizeof(version));

	if (!ok)
		snprintf(detail, sizeof(detail),
			 "`ssh %s xlrbd --version` fails; it must need no password, and xlrbd must be there",
			 address);
	else if (!is_our_version(version)) {
		ok = false;
		snprintf(detail, sizeof(detail), "has %s, this host has %s",
			 version, xlrbd_version());
	} else {
		snprintf(detail, sizeof(detail), "%s, %s", address, version);
	}
	snprintf(what, sizeof(what), "host %s", name);
	add_row(data, what, ok, detail);
}

int cmd_check(struct session *s, int argc, char **argv)
{
	json_t *rows = json_array(), *row;
	size_t i;
	int rc = DONE;

	(void)argc;
	(void)argv;
	check_xen(rows);
	check_script(rows);
	xlrbd_check(s->ctx, &s->where, add_row, rows);
	check_lvm(rows);
	if (xlrbd_hosts(s->ctx, check_host, rows) < 0)
		add_row(rows, "hosts", false, xlrbd_error(s->ctx));
	json_array_foreach(rows, i, row)
		if (strcmp(text_of(row, "result"), "ok") != 0)
			rc = FAILED;
	return print_rows(s, rows, columns, ARRAY_SIZE(columns)) ? FAILED : rc;
}
