package io.lockstep.telemetry;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

@AnalyzeClasses(packages = "io.lockstep.telemetry", importOptions = DoNotIncludeTests.class)
class ModuleBoundaryTest {
    @ArchTest
    static final ArchRule CALLS_NATIVE_BINDINGS_AND_OSHI_ONLY = classes()
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage(
                    "java..",
                    "org.jspecify..",
                    "org.slf4j..",
                    "oshi..",
                    "com.fasterxml.jackson..",
                    "io.lockstep.linux..",
                    "io.lockstep.telemetry..");

    @ArchTest
    static final ArchRule READS_JSON_IN_RECORDINGS_ALONE = noClasses()
            .that()
            .resideOutsideOfPackage("io.lockstep.telemetry.replay..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("com.fasterxml.jackson..");

    @ArchTest
    static final ArchRule EVENTS_CALL_NOTHING = noClasses()
            .that()
            .resideInAPackage("io.lockstep.telemetry.event..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("oshi..", "io.lockstep.linux..", "io.lockstep.telemetry.inventory..");
}
