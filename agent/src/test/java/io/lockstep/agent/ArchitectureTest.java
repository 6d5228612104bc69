package io.lockstep.agent;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noMethods;

import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** Who may call whom: the table of modules, and the rooms inside the agent. */
@AnalyzeClasses(packages = "io.lockstep", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {
    @ArchTest
    static final ArchRule shouldCallTheKernelInNativeBindingsAlone = noClasses()
            .that()
            .resideOutsideOfPackage("io.lockstep.linux..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("com.sun.jna..", "sun.misc..", "jdk.internal..");

    @ArchTest
    static final ArchRule shouldDeclareNativeMethodsInNativeBindingsAlone = noMethods()
            .that()
            .areDeclaredInClassesThat()
            .resideOutsideOfPackage("io.lockstep.linux..")
            .should()
            .haveModifier(JavaModifier.NATIVE);

    @ArchTest
    static final ArchRule shouldKeepNativeBindingsFreeOfEverythingElse = classes()
            .that()
            .resideInAPackage("io.lockstep.linux..")
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage("io.lockstep.linux..", "com.sun.jna..", "java..", "org.jspecify..");

    @ArchTest
    static final ArchRule shouldKeepReplicationBelowTheAgent = noClasses()
            .that()
            .resideInAPackage("io.lockstep.replication..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(
                    "io.lockstep.agent..",
                    "io.lockstep.telemetry..",
                    "io.lockstep.perf..",
                    "oshi..",
                    "org.eclipse.jetty..");

    @ArchTest
    static final ArchRule shouldKeepTelemetryApartFromReplication = noClasses()
            .that()
            .resideInAPackage("io.lockstep.telemetry..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("io.lockstep.agent..", "io.lockstep.replication..", "io.lockstep.perf..");

    @ArchTest
    static final ArchRule shouldUseOshiInTelemetryAlone = noClasses()
            .that()
            .resideOutsideOfPackage("io.lockstep.telemetry..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("oshi..");

    @ArchTest
    static final ArchRule shouldKeepPerfOutOfProduction = noClasses()
            .that()
            .resideOutsideOfPackage("io.lockstep.perf..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("io.lockstep.perf..");

    @ArchTest
    static final ArchRule shouldUseJettyInTheApiAlone = noClasses()
            .that()
            .resideOutsideOfPackage("io.lockstep.agent.api..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("org.eclipse.jetty..");

    @ArchTest
    static final ArchRule shouldUsePicocliInCommandsAlone = noClasses()
            .that()
            .resideOutsideOfPackages("io.lockstep.agent.cli..", "io.lockstep.agent.demo..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("picocli..");

    @ArchTest
    static final ArchRule shouldKeepTheClientLight = classes()
            .that()
            .resideInAPackage("io.lockstep.agent.client..")
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage(
                    "io.lockstep.agent.client..",
                    "io.lockstep.replication",
                    "com.fasterxml.jackson.core..",
                    "java..",
                    "org.jspecify..");

    @ArchTest
    static final ArchRule shouldKeepViewsFreeOfEverything = classes()
            .that()
            .resideInAPackage("io.lockstep.agent.view..")
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage("io.lockstep.agent.view..", "java..", "org.jspecify..");

    @ArchTest
    static final ArchRule shouldServeTheApiThroughVmOperationsAlone = noClasses()
            .that()
            .resideInAPackage("io.lockstep.agent.api..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(
                    "io.lockstep.agent.daemon..",
                    "io.lockstep.agent.cli..",
                    "io.lockstep.linux..",
                    "io.lockstep.replication.(*)..");

    @ArchTest
    static final ArchRule shouldReachTheDaemonFromCommandsThroughItsSocketAlone = noClasses()
            .that()
            .resideInAnyPackage("io.lockstep.agent.cli..", "io.lockstep.agent.client..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("io.lockstep.agent.daemon..", "io.lockstep.agent.api..");

    @ArchTest
    static final ArchRule shouldConfigureWithoutTheRest = noClasses()
            .that()
            .resideInAPackage("io.lockstep.agent.config..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(
                    "io.lockstep.agent.api..",
                    "io.lockstep.agent.cli..",
                    "io.lockstep.agent.daemon..",
                    "io.lockstep.agent.doctor..",
                    "io.lockstep.agent.supervisor..",
                    "io.lockstep.linux..");

    @ArchTest
    static final ArchRule shouldNameNothingVaguely = noClasses()
            .that()
            .resideInAPackage("io.lockstep..")
            .should()
            .haveSimpleNameEndingWith("Manager")
            .orShould()
            .haveSimpleNameEndingWith("Helper")
            .orShould()
            .haveSimpleNameEndingWith("Util")
            .orShould()
            .haveSimpleNameEndingWith("Utils")
            .orShould()
            .haveSimpleNameEndingWith("Impl");
}
