complete -c lockstep -f
complete -c lockstep -n __fish_use_subcommand -a agent -d 'Run the agent in the foreground, until SIGTERM.'
complete -c lockstep -n '__fish_seen_subcommand_from agent' -l root
complete -c lockstep -n '__fish_seen_subcommand_from agent' -l supervised
complete -c lockstep -n '__fish_seen_subcommand_from agent' -l same-host-for-testing
complete -c lockstep -n '__fish_seen_subcommand_from agent' -l help
complete -c lockstep -n '__fish_seen_subcommand_from agent' -l version
complete -c lockstep -n __fish_use_subcommand -a vms -d 'List every QEMU VM found on this host, and every replica held here.'
complete -c lockstep -n '__fish_seen_subcommand_from vms' -l root
complete -c lockstep -n '__fish_seen_subcommand_from vms' -l json
complete -c lockstep -n '__fish_seen_subcommand_from vms' -l help
complete -c lockstep -n '__fish_seen_subcommand_from vms' -l version
complete -c lockstep -n __fish_use_subcommand -a peers -d 'List the peers of the configuration: address, whether a session is open, health, fingerprint.'
complete -c lockstep -n '__fish_seen_subcommand_from peers' -l root
complete -c lockstep -n '__fish_seen_subcommand_from peers' -l json
complete -c lockstep -n '__fish_seen_subcommand_from peers' -l help
complete -c lockstep -n '__fish_seen_subcommand_from peers' -l version
complete -c lockstep -n __fish_use_subcommand -a doctor -d 'Name what this host lacks to protect VMs, with the cure. Exit status 1: something is missing.'
complete -c lockstep -n '__fish_seen_subcommand_from doctor' -l root
complete -c lockstep -n '__fish_seen_subcommand_from doctor' -l json
complete -c lockstep -n '__fish_seen_subcommand_from doctor' -l help
complete -c lockstep -n '__fish_seen_subcommand_from doctor' -l version
complete -c lockstep -n __fish_use_subcommand -a identity -d 'Print the fingerprint that a peer must be told; create key and certificate if there are none.'
complete -c lockstep -n '__fish_seen_subcommand_from identity' -l root
complete -c lockstep -n '__fish_seen_subcommand_from identity' -l json
complete -c lockstep -n '__fish_seen_subcommand_from identity' -l help
complete -c lockstep -n '__fish_seen_subcommand_from identity' -l version
complete -c lockstep -n __fish_use_subcommand -a protect -d 'Replicate a running VM to a peer, epoch by epoch; return when the peer holds a whole epoch.'
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l root
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l json
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l pid
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l name
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l qmp
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l peer
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l epoch-ms
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l tracker
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l protection
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l allow-unheld-output
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l dry-run
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l no-wait
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l help
complete -c lockstep -n '__fish_seen_subcommand_from protect' -l version
complete -c lockstep -n __fish_use_subcommand -a unprotect -d 'End a VM\'s protection, leave its QEMU as it was found, and remove the replica.'
complete -c lockstep -n '__fish_seen_subcommand_from unprotect' -l root
complete -c lockstep -n '__fish_seen_subcommand_from unprotect' -l json
complete -c lockstep -n '__fish_seen_subcommand_from unprotect' -l pid
complete -c lockstep -n '__fish_seen_subcommand_from unprotect' -l name
complete -c lockstep -n '__fish_seen_subcommand_from unprotect' -l qmp
complete -c lockstep -n '__fish_seen_subcommand_from unprotect' -l help
complete -c lockstep -n '__fish_seen_subcommand_from unprotect' -l version
complete -c lockstep -n __fish_use_subcommand -a protection -d 'Switch a protected VM between lockstep and async while it runs.'
complete -c lockstep -n '__fish_seen_subcommand_from protection' -l root
complete -c lockstep -n '__fish_seen_subcommand_from protection' -l json
complete -c lockstep -n '__fish_seen_subcommand_from protection' -l pid
complete -c lockstep -n '__fish_seen_subcommand_from protection' -l name
complete -c lockstep -n '__fish_seen_subcommand_from protection' -l qmp
complete -c lockstep -n '__fish_seen_subcommand_from protection' -l mode
complete -c lockstep -n '__fish_seen_subcommand_from protection' -l help
complete -c lockstep -n '__fish_seen_subcommand_from protection' -l version
complete -c lockstep -n __fish_use_subcommand -a status -d 'Show what is replicated to and from this host: states, epochs, pauses, lag.'
complete -c lockstep -n '__fish_seen_subcommand_from status' -l root
complete -c lockstep -n '__fish_seen_subcommand_from status' -l json
complete -c lockstep -n '__fish_seen_subcommand_from status' -l watch
complete -c lockstep -n '__fish_seen_subcommand_from status' -l help
complete -c lockstep -n '__fish_seen_subcommand_from status' -l version
complete -c lockstep -n __fish_use_subcommand -a verify -d 'Compare every page of every RAM block with the replica, at one stop. Exit status 5: some differ.'
complete -c lockstep -n '__fish_seen_subcommand_from verify' -l root
complete -c lockstep -n '__fish_seen_subcommand_from verify' -l json
complete -c lockstep -n '__fish_seen_subcommand_from verify' -l pid
complete -c lockstep -n '__fish_seen_subcommand_from verify' -l name
complete -c lockstep -n '__fish_seen_subcommand_from verify' -l qmp
complete -c lockstep -n '__fish_seen_subcommand_from verify' -l help
complete -c lockstep -n '__fish_seen_subcommand_from verify' -l version
complete -c lockstep -n __fish_use_subcommand -a switchover -d 'Move a protected VM from here to its peer, with nothing lost.'
complete -c lockstep -n '__fish_seen_subcommand_from switchover' -l root
complete -c lockstep -n '__fish_seen_subcommand_from switchover' -l json
complete -c lockstep -n '__fish_seen_subcommand_from switchover' -l pid
complete -c lockstep -n '__fish_seen_subcommand_from switchover' -l name
complete -c lockstep -n '__fish_seen_subcommand_from switchover' -l qmp
complete -c lockstep -n '__fish_seen_subcommand_from switchover' -l help
complete -c lockstep -n '__fish_seen_subcommand_from switchover' -l version
complete -c lockstep -n __fish_use_subcommand -a failover -d 'Resume a VM here from its replica; run it on the peer, when the primary\'s host is dead.'
complete -c lockstep -n '__fish_seen_subcommand_from failover' -l root
complete -c lockstep -n '__fish_seen_subcommand_from failover' -l json
complete -c lockstep -n '__fish_seen_subcommand_from failover' -l force
complete -c lockstep -n '__fish_seen_subcommand_from failover' -l help
complete -c lockstep -n '__fish_seen_subcommand_from failover' -l version
complete -c lockstep -n __fish_use_subcommand -a drill -d 'Prove that a failover would work, without touching the primary; run it on the peer. A second standby is resumed from the replica, with no network and throw-away disks, must execute, and is thrown away.'
complete -c lockstep -n '__fish_seen_subcommand_from drill' -l root
complete -c lockstep -n '__fish_seen_subcommand_from drill' -l json
complete -c lockstep -n '__fish_seen_subcommand_from drill' -l help
complete -c lockstep -n '__fish_seen_subcommand_from drill' -l version
complete -c lockstep -n __fish_use_subcommand -a discard -d 'Remove a replica that is held here, with its journal. Refused while its primary is connected (\'lockstep unprotect\' there does it), and while the VM runs here.'
complete -c lockstep -n '__fish_seen_subcommand_from discard' -l root
complete -c lockstep -n '__fish_seen_subcommand_from discard' -l json
complete -c lockstep -n '__fish_seen_subcommand_from discard' -l help
complete -c lockstep -n '__fish_seen_subcommand_from discard' -l version
complete -c lockstep -n __fish_use_subcommand -a journal -d 'List the epochs in the journal of a replica held here, newest first.'
complete -c lockstep -n '__fish_seen_subcommand_from journal' -l root
complete -c lockstep -n '__fish_seen_subcommand_from journal' -l json
complete -c lockstep -n '__fish_seen_subcommand_from journal' -l limit
complete -c lockstep -n '__fish_seen_subcommand_from journal' -l help
complete -c lockstep -n '__fish_seen_subcommand_from journal' -l version
complete -c lockstep -n __fish_use_subcommand -a hardware -d 'Show how the hardware of this host fares: its modules, what happened, the evidence, what followed.'
complete -c lockstep -n '__fish_seen_subcommand_from hardware' -a events
complete -c lockstep -n '__fish_seen_subcommand_from hardware' -a clear
complete -c lockstep -n '__fish_seen_subcommand_from hardware' -a decode
complete -c lockstep -n '__fish_seen_subcommand_from hardware' -a replay
complete -c lockstep -n '__fish_seen_subcommand_from hardware' -l root
complete -c lockstep -n '__fish_seen_subcommand_from hardware' -l json
complete -c lockstep -n '__fish_seen_subcommand_from hardware' -l help
complete -c lockstep -n '__fish_seen_subcommand_from hardware' -l version
complete -c lockstep -n __fish_use_subcommand -a events -d 'List what changed at this agent, oldest first; a line for each change.'
complete -c lockstep -n '__fish_seen_subcommand_from events' -l root
complete -c lockstep -n '__fish_seen_subcommand_from events' -l json
complete -c lockstep -n '__fish_seen_subcommand_from events' -l follow
complete -c lockstep -n '__fish_seen_subcommand_from events' -l after
complete -c lockstep -n '__fish_seen_subcommand_from events' -l help
complete -c lockstep -n '__fish_seen_subcommand_from events' -l version
complete -c lockstep -n __fish_use_subcommand -a top -d 'Watch all VMs live on the whole screen. Keys: p, l, n sort by pause, lag, name; arrows and Enter show one VM; q ends.'
complete -c lockstep -n '__fish_seen_subcommand_from top' -l root
complete -c lockstep -n '__fish_seen_subcommand_from top' -l json
complete -c lockstep -n '__fish_seen_subcommand_from top' -l seconds
complete -c lockstep -n '__fish_seen_subcommand_from top' -l help
complete -c lockstep -n '__fish_seen_subcommand_from top' -l version
complete -c lockstep -n __fish_use_subcommand -a config -d 'Check the configuration, or print the default one.'
complete -c lockstep -n '__fish_seen_subcommand_from config' -a check
complete -c lockstep -n '__fish_seen_subcommand_from config' -a default
complete -c lockstep -n '__fish_seen_subcommand_from config' -l help
complete -c lockstep -n '__fish_seen_subcommand_from config' -l version
complete -c lockstep -n __fish_use_subcommand -a pair -d 'Make this host and another know each other: run it with --listen there, and with its name here. Both show a code, which you compare, and write the other into their configuration.'
complete -c lockstep -n '__fish_seen_subcommand_from pair' -l root
complete -c lockstep -n '__fish_seen_subcommand_from pair' -l listen
complete -c lockstep -n '__fish_seen_subcommand_from pair' -l port
complete -c lockstep -n '__fish_seen_subcommand_from pair' -l name
complete -c lockstep -n '__fish_seen_subcommand_from pair' -l help
complete -c lockstep -n '__fish_seen_subcommand_from pair' -l version
complete -c lockstep -n __fish_use_subcommand -a demo -d 'Protects a guest between two agents on this machine, kills, and checks that nothing was lost.'
complete -c lockstep -n '__fish_seen_subcommand_from demo' -l guest
complete -c lockstep -n '__fish_seen_subcommand_from demo' -l seconds
complete -c lockstep -n '__fish_seen_subcommand_from demo' -l epoch-ms
complete -c lockstep -n '__fish_seen_subcommand_from demo' -l kill
complete -c lockstep -n '__fish_seen_subcommand_from demo' -l report
complete -c lockstep -n '__fish_seen_subcommand_from demo' -l no-install
complete -c lockstep -n '__fish_seen_subcommand_from demo' -l help
complete -c lockstep -n '__fish_seen_subcommand_from demo' -l version
complete -c lockstep -n __fish_use_subcommand -a bench -d 'Measure protection beside QEMU\'s own migration, in a source tree: ./lockstep bench [--quick] [--only NAME] [--report DIR]; ./lockstep bench --help has the rest.'
complete -c lockstep -n '__fish_seen_subcommand_from bench' -l help
complete -c lockstep -n '__fish_seen_subcommand_from bench' -l version
complete -c lockstep -n __fish_use_subcommand -a test -d 'Run every test: ./lockstep test [--jdk PATH] [--no-install] [Maven\'s arguments], in a source tree. --jdk names another JDK; --no-install prints the command that installs what is missing, and exits with 3.'
complete -c lockstep -n '__fish_seen_subcommand_from test' -l help
complete -c lockstep -n '__fish_seen_subcommand_from test' -l version
