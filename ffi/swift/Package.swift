// swift-tools-version:5.9
// A package over an XCFramework of libunforget.a, see README.md for how to build it.
import PackageDescription

let package = Package(
    name: "Unforget",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "Unforget", targets: ["Unforget"])],
    targets: [
        .binaryTarget(name: "CUnforget", path: "CUnforget.xcframework"),
        .target(
            name: "Unforget",
            dependencies: ["CUnforget"],
            linkerSettings: [
                .linkedLibrary("c++"),
                .linkedFramework("Accelerate"),
                .linkedFramework("Foundation"),
                .linkedFramework("Metal"),
                .linkedFramework("MetalKit"),
            ]
        ),
    ]
)
