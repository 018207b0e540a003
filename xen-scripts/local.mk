# SPDX-License-Identifier: LGPL-2.1-or-later

# The helper is a program, so it lives among programs; xl finds it by this
# link, which names it absolutely as xl's directory may be anywhere.
install-exec-hook:
	$(MKDIR_P) $(DESTDIR)$(xenscriptdir)
	rm -f $(DESTDIR)$(xenscriptdir)/block-rbd
	$(LN_S) $(sbindir)/block-rbd $(DESTDIR)$(xenscriptdir)/block-rbd

uninstall-hook:
	rm -f $(DESTDIR)$(xenscriptdir)/block-rbd

dist_modulesload_DATA = xen-scripts/xlrbd.conf
dist_doc_DATA = xen-scripts/pv.cfg
